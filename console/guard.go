package console

import (
	"net"
	"net/http"
	"slices"

	"github.com/reporterd/reporterd/access"
)

// Route is something the console serves and knows nothing about. It has the console's headers, its
// protection against pages of other sites, and its tokens.
type Route struct {
	Pattern string // as of http.ServeMux: GET /api/v1/ledger
	Scope   string // of package access: what a token must be good for; empty: none is asked for
	Handler http.Handler
}

// byOtherWays reports whether a scope's tokens may come as 3scale's own APIs take them, too.
func byOtherWays(scope string) bool {
	return scope == access.Stats || scope == access.AccountManagement
}

// handle serves a route to those who may ask for it.
func (c *Console) handle(r Route) {
	c.routes.HandleFunc(r.Pattern, func(w http.ResponseWriter, req *http.Request) {
		if r.Scope != "" {
			g, ok := c.admit(w, req, r.Scope)
			if !ok {
				return
			}
			if g != nil {
				noteCaller(w, g.Name)
				req = req.WithContext(access.With(req.Context(), g))
			}
		}
		r.Handler.ServeHTTP(w, req)
	})
}

// admit lets a request through, or answers it.
func (c *Console) admit(w http.ResponseWriter, r *http.Request, scope string) (*access.Grant, bool) {
	token := access.Bearer(r)
	if token == "" && byOtherWays(scope) {
		token = access.Presented(r)
	}
	g, err := c.options.Tokens.Find(token)
	switch {
	case err != nil:
		w.Header().Set("WWW-Authenticate", `Bearer realm="reporterd"`)
		if byOtherWays(scope) {
			w.Header().Add("WWW-Authenticate", `Basic realm="reporterd"`)
		}
		writeProblem(w, http.StatusUnauthorized, err.Error())
	case !g.May(scope):
		noteCaller(w, g.Name)
		w.Header().Set("WWW-Authenticate", `Bearer realm="reporterd", error="insufficient_scope", scope="`+scope+`"`)
		writeProblem(w, http.StatusForbidden, "the token "+g.Name+" lacks the scope "+scope)
	default:
		return g, true
	}
	return nil, false
}

// crossOrigin refuses what a browser sends because a page of another site told it to.
var crossOrigin = http.NewCrossOriginProtection()

// policy allows pages what they bring themselves, and nothing that stands in them: a name that holds markup
// stays a name. No other page may show them in a frame.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// protect sets the headers of every answer.
func protect(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", policy)
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
}

// rebound reports whether a request came under a name that may be one of another site. A page of that site can have its own name
// lead here, and then nothing tells its requests from our page's. Where a token is needed such a page has none, and a proxy may use
// any name. On a loopback address only names of this machine are taken; elsewhere also those that cannot be another site's.
func (c *Console) rebound(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	switch {
	case !ok || c.options.Tokens != nil || isHealthCheck(r):
		return false
	case local.IP.IsLoopback():
		return !access.Loopback(r.Host) && !access.NamedHost(r.Host, c.options.Hosts)
	}
	return !access.TrustedHost(r.Host, c.options.Hosts)
}

// isHealthCheck reports whether a load balancer or a supervisor asks for /livez or /readyz. Such checks often
// name no host (HAProxy's is HTTP/1.0) or the balancer's. Details (?verbose) are told under this machine's names only.
func isHealthCheck(r *http.Request) bool {
	reads := r.Method == http.MethodGet || r.Method == http.MethodHead
	return reads && (r.URL.Path == "/livez" || r.URL.Path == "/readyz") && r.URL.RawQuery == ""
}

// session answers what the token of a request is good for, so that a page can tell what it may offer.
func (c *Console) session(w http.ResponseWriter, r *http.Request) {
	page := struct {
		Asked  bool     `json:"asked"` // whether tokens are asked for at all
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
		Offers []string `json:"offers"` // what there is beside the console's own
	}{Asked: c.options.Tokens != nil, Scopes: slices.Clone(access.Scopes), Offers: append([]string{}, c.options.Offers...)}
	if page.Asked {
		g, err := c.options.Tokens.Find(access.Bearer(r))
		page.Scopes = []string{}
		if err == nil {
			page.Name = g.Name
			page.Scopes = slices.DeleteFunc(slices.Clone(access.Scopes), func(s string) bool { return !g.May(s) })
		}
	}
	writeJSON(w, http.StatusOK, page)
}
