package sandbox

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// The access tokens of the sandbox's admin portal. They are public, as its service tokens are, and open
// nothing else.
const (
	AccessToken        = "atoken"         // sees everything
	StatsToken         = "atoken-stats"   // scope stats alone
	AccountToken       = "atoken-account" // scope account_management alone
	MemberToken        = "atoken-member"  // both scopes, of a member who sees service 1001 alone
	UnprivilegedToken  = "atoken-nothing" // no scope of these
	scopeStats         = "stats"
	scopeAccount       = "account_management"
	permissionsMessage = "Your access token does not have the correct permissions"
)

// grant is what an access token allows.
type grant struct {
	scopes   []string
	services []string // nil: all
}

var grants = map[string]grant{
	AccessToken:       {scopes: []string{scopeStats, scopeAccount}},
	StatsToken:        {scopes: []string{scopeStats}},
	AccountToken:      {scopes: []string{scopeAccount}},
	MemberToken:       {scopes: []string{scopeStats, scopeAccount}, services: []string{"1001"}},
	UnprivilegedToken: {scopes: []string{"cms"}},
}

func (g grant) sees(serviceID string) bool {
	return g.services == nil || slices.Contains(g.services, serviceID)
}

// query is one call of the admin portal.
type query struct {
	*http.Request
	grant grant
	path  []string // below /stats or /admin/api, the last without its extension
}

// is reports whether the path has this pattern, in which "*" stands for any segment.
func (q *query) is(pattern string) bool {
	parts := strings.Split(pattern, "/")
	if len(parts) != len(q.path) {
		return false
	}
	for i, part := range parts {
		if part != "*" && part != q.path[i] {
			return false
		}
	}
	return true
}

// refusal is an error of the admin portal: what it says is not known, or not allowed.
type refusal struct {
	status int
	body   any // a string is sent as text/plain; nil as an empty body
}

func (r *refusal) Error() string { return fmt.Sprint(r.status, " ", r.body) }

func refuse(status int, sentence string) error {
	return &refusal{status, map[string]string{"error": sentence}}
}

func notFound() error { return &refusal{http.StatusNotFound, map[string]string{"status": "Not found"}} }

// isPortal tells the paths of the admin portal, which the real one serves on a host of its own.
func isPortal(at string) bool {
	return strings.HasPrefix(at, "/stats/") || strings.HasPrefix(at, "/admin/api/")
}

// servePortal answers the Analytics and Account Management APIs in JSON, from the counters and the
// directory of this sandbox.
func (s *Sandbox) servePortal(w http.ResponseWriter, r *http.Request, at string) {
	kind, rest := analyticsCall, strings.TrimPrefix(at, "/stats/")
	if after, account := strings.CutPrefix(at, "/admin/api/"); account {
		kind, rest = accountCall, after
	}
	s.mu.Lock()
	s.work(s.now())
	s.calls.arrived(kind)
	fault := s.faults.take(kind, serviceOf(rest, r))
	if fault != nil {
		s.calls.Faults++
	}
	s.mu.Unlock()
	if fault != nil && !fault.meet(w, r) {
		return
	}
	v, err := s.lookUp(kind, rest, r)
	writePortal(w, r, v, err)
}

// serviceOf is the service a call names, in its path or its query.
func serviceOf(rest string, r *http.Request) string {
	if after, ok := strings.CutPrefix(rest, "services/"); ok {
		id, _, _ := strings.Cut(after, "/")
		return id
	}
	return r.URL.Query().Get("service_id")
}

// lookUp checks the token and answers with what is to be sent as JSON.
func (s *Sandbox) lookUp(kind callKind, rest string, r *http.Request) (any, error) {
	changes := kind == accountCall && (r.Method == http.MethodPost || r.Method == http.MethodDelete)
	if r.Method != http.MethodGet && r.Method != http.MethodHead && !changes || r.ParseForm() != nil {
		return nil, notFound()
	}
	g, known := grants[accessTokenOf(r)]
	scope := scopeAccount
	if kind == analyticsCall {
		scope = scopeStats
	}
	switch {
	case !known:
		return nil, refuse(http.StatusForbidden, "Access denied")
	case !slices.Contains(g.scopes, scope):
		return nil, refuse(http.StatusForbidden, permissionsMessage)
	}
	rest, ok := strings.CutSuffix(rest, ".json")
	if !ok {
		return nil, &refusal{http.StatusNotAcceptable, "The sandbox serves JSON only: append .json to the path"}
	}
	q := &query{Request: r, grant: g, path: strings.Split(rest, "/")}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case changes:
		return s.changePortal(q)
	case kind == analyticsCall:
		return s.stats(q)
	}
	return s.account(q)
}

// accessTokenOf reads the token: a parameter, or HTTP Basic as either half.
func accessTokenOf(r *http.Request) string {
	if token := r.URL.Query().Get("access_token"); token != "" {
		return token
	}
	encoded, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Basic ")
	if !ok {
		return ""
	}
	text, _ := base64.StdEncoding.DecodeString(encoded) // what is no base64 is no token
	user, password, _ := strings.Cut(string(text), ":")
	if user != "" {
		return user
	}
	return password
}

// writePortal sends an answer with an ETag, or 304 to whoever has it already.
func writePortal(w http.ResponseWriter, r *http.Request, v any, err error) {
	status, kind := http.StatusOK, "application/json; charset=utf-8"
	var body []byte
	if refused, ok := err.(*refusal); ok {
		status, v = refused.status, refused.body
	}
	switch text := v.(type) {
	case nil:
	case string:
		kind, body = "text/plain; charset=utf-8", []byte(text)
	default:
		body = encoded(v)
	}
	h := w.Header()
	h.Set("Content-Type", kind)
	if status == http.StatusOK {
		tag := fmt.Sprintf(`W/"%x"`, sha256.Sum256(body))[:36] + `"`
		h.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.WriteHeader(status)
	_, _ = w.Write(body) // an error here is the caller's connection, which net/http closes
}

// encoded is v as the portal writes it: "<" as it is.
func encoded(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v) // maps, slices, text and numbers: nothing that could fail
	return bytes.TrimRight(b.Bytes(), "\n")
}
