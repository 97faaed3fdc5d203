package gate

import (
	"errors"
	"net/http"
	"strings"
)

// Question is one call of the API as the proxy saw it.
type Question struct {
	Method string
	Target string // path and query as the caller wrote them
	Host   string // with or without a port
	Header http.Header
	ID     string // the proxy's request id; empty: it gives none
	Form   string // for figures: FormGRPC, or as read from a request
	nginx  bool   // the answer is for auth_request
}

// The paths of the listener.
const (
	pathQuestion = "/gate"       // X-Forwarded-* or X-Original-*
	pathNginx    = "/gate/nginx" // the same, answered with 200, 401 and 403 only
	pathPrefix   = "/gate/"      // method and path of the call itself behind it
)

// forms are the header fields in which proxies say what they ask about: Caddy and Traefik, and nginx by its configuration.
var forms = [2]struct{ name, method, target, host string }{
	{formForwarded, "X-Forwarded-Method", "X-Forwarded-Uri", "X-Forwarded-Host"},
	{formOriginal, "X-Original-Method", "X-Original-Uri", "X-Original-Host"},
}

var (
	errNone = errors.New("the request says nothing of the call: expected X-Forwarded-Method and X-Forwarded-Uri, or X-Original-Method and X-Original-URI, " +
		"or the call's method and path behind /gate/")
	errTwo  = errors.New("the request says more than once which call it is about, and they may differ")
	errHalf = errors.New("the request says only one of the call's method and target")
)

// read reads the question of a proxy. If it stands there in two forms, or twice in one, it is refused: one of them may be of the
// API's caller.
func read(r *http.Request, idHeader string) (q Question, err error) {
	raw, found := r.URL.EscapedPath(), 0
	q = Question{Header: r.Header, Host: r.Host, nginx: raw == pathNginx}
	for _, f := range forms {
		methods, targets := r.Header[f.method], r.Header[f.target]
		if len(methods) == 0 && len(targets) == 0 {
			continue
		}
		if found++; found > 1 || len(methods) > 1 || len(targets) > 1 || len(r.Header[f.host]) > 1 {
			return q, errTwo
		}
		if len(methods) == 0 || len(targets) == 0 {
			return q, errHalf
		}
		q.Method, q.Target, q.Form = methods[0], targets[0], f.name
		if hosts := r.Header[f.host]; len(hosts) == 1 {
			q.Host = hosts[0]
		}
	}
	switch {
	case raw == pathQuestion, q.nginx:
		if found == 0 {
			return q, errNone
		}
		if q.nginx {
			q.Form = formNginx
		}
	case found > 0:
		return q, errTwo
	case !strings.HasPrefix(raw, pathPrefix):
		return q, errNone
	default:
		q.Form = formPath
		q.Method, q.Target = r.Method, strings.TrimPrefix(raw, strings.TrimSuffix(pathPrefix, "/"))
		if r.URL.RawQuery != "" {
			q.Target += "?" + r.URL.RawQuery
		}
	}
	if ids := r.Header[idHeader]; idHeader != "" && len(ids) == 1 {
		q.ID = ids[0]
	}
	return q, nil
}

// hostName is a host in lower case, without a port and a dot at its end.
func hostName(host string) string {
	if name, _, cut := strings.Cut(host, ":"); cut && !strings.HasPrefix(host, "[") {
		host = name
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}
