package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/threescale"
)

// Authorizations returns the handler of an authorization; nil: the call is not one.
func (r *Replica) Authorizations(method, path string) http.Handler {
	if r.fallback.Handler(method, path) == nil {
		return nil
	}
	return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) { r.ask(w, q, path) })
}

// FastPath answers an authorization from memory if this replica owns the partition of its service; see
// authorize.Authorizer.FastPath. A call that names its service in an unusual way is answered by the handler.
func (r *Replica) FastPath(dst []byte, path, query, options string) (answer []byte, ok bool) {
	service, ok := plainService(query)
	node := r.node.Load()
	if !ok || node == nil || strings.IndexByte(service, '-') >= 0 && strings.Contains(query, "provider_key") { // another name, perhaps
		return dst, false
	}
	own := r.partition(node.Partition(service))
	if own == nil {
		return dst, false
	}
	return own.FastPath(dst, path, query, options)
}

// Ask says that the question cannot be answered: the configuration allows no listener for proxies beside replicas.
func (r *Replica) Ask(context.Context, *authorize.Question) authorize.Answer {
	return authorize.Answer{Unknown: true, Text: "replicas do not answer proxies", Limit: authorize.Limit{Remaining: -1}}
}

// Vouch returns the backend's refusal of credentials of a service that is not configured, or nil; see
// authorize.Authorizer.Vouch. Each replica asks for itself.
func (r *Replica) Vouch(ctx context.Context, serviceID string, c threescale.Credentials, app threescale.Application) *threescale.Error {
	return r.fallback.Vouch(ctx, serviceID, c, app)
}

// plainService returns the service that a query names once, without escapes.
func plainService(query string) (service string, ok bool) {
	for parameter := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		if strings.ContainsAny(name, "%+") || name == "service_id" && (ok || strings.ContainsAny(value, "%+")) {
			return "", false
		}
		if name == "service_id" {
			service, ok = value, true
		}
	}
	return service, ok
}

// question is an authorization that is sent to its partition, and answered is its answer.
type question struct {
	Method, Target, Path string
	Header               http.Header
	Body                 []byte
}

type answered struct {
	Status int
	Header http.Header
	Body   []byte
}

// ask answers an authorization: the owner of its service's partition does, or, while the partition has no owner, this replica
// without counting usage that is not reported yet.
func (r *Replica) ask(w http.ResponseWriter, q *http.Request, path string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxQuestion))
	q.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil { // the handler reports what is wrong with it
		q.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	}
	service, c, app := named(q, body)
	if !access.From(q.Context()).Serves(service) { // the owner does not know the client's token
		r.fallback.Handler(q.Method, path).ServeHTTP(w, q)
		return
	}
	p := r.node.Load().Partition(r.serviceID(q.Context(), service, c, app))
	if own := r.partition(p); own != nil {
		own.Authorizations(q.Method, path).ServeHTTP(w, q)
		return
	}
	header := q.Header.Clone()
	header.Del("Authorization") // the owner does not need it, and it is a secret
	data, err := json.Marshal(question{Method: q.Method, Target: q.URL.RequestURI(), Path: path, Header: header, Body: body})
	var answer []byte
	if err == nil {
		ctx, cancel := context.WithTimeout(q.Context(), r.options.AuthorizeTimeout)
		defer cancel()
		answer, err = r.call(ctx, p, callAsk, data)
	}
	var s answered
	if err != nil || json.Unmarshal(answer, &s) != nil {
		r.answered.Add(1)
		r.fallback.Handler(q.Method, path).ServeHTTP(w, q)
		return
	}
	for name, values := range s.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(s.Status)
	_, _ = w.Write(s.Body) // an error means that the client is gone
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// serviceID returns the backend's id of a service, which decides who owns its usage. A name that is not known yet is asked about; if
// the backend cannot be asked, it stands for itself.
func (r *Replica) serviceID(ctx context.Context, service string, c threescale.Credentials, app threescale.Application) string {
	id, resolved := r.fallback.ServiceID(service, c)
	if !resolved && r.options.Partition.Authorize.Passthrough {
		_ = r.fallback.Vouch(ctx, service, c, app) // a refusal is the owner's to answer
		id, _ = r.fallback.ServiceID(service, c)
	}
	return id
}

// named returns the service of an authorization, empty for a provider's default one, the credentials and the application, decoded
// as its handler does.
func named(q *http.Request, body []byte) (service string, c threescale.Credentials, app threescale.Application) {
	if strings.HasPrefix(q.URL.Path, "/v1/") {
		var named struct {
			ServiceID string `json:"service_id"`
		}
		_ = json.Unmarshal(body, &named) // the handler reports what is wrong with it
		return named.ServiceID, c, app
	}
	params, err := threescale.ReadParams(q, threescale.ReadOptions{MaxQuery: maxQuestion, Lenient: true})
	if err != nil {
		return "", c, app // the same
	}
	c, service, _ = threescale.ReadCredentials(params, false)
	return service, c, threescale.Application{ID: params.Get("app_id").Text(), UserKey: params.Get("user_key").Text()}
}
