package console

import (
	"net"
	"net/http"
	"slices"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/internal/respond"
)

// Route is a route of another part that the console serves. It gets the console's headers, its protection against pages of other
// sites, and its tokens.
type Route struct {
	Pattern string // as of http.ServeMux: GET /api/v1/ledger
	Scope   string // of package access: required of a token; empty: no token is required
	Handler http.Handler
}

// threescaleAuth reports whether a scope's tokens may also be sent in the way of 3scale's own APIs.
func threescaleAuth(scope string) bool {
	return scope == access.Stats || scope == access.AccountManagement
}

// handle serves a route to callers with its scope.
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

// admit lets a request pass, or answers it.
func (c *Console) admit(w http.ResponseWriter, r *http.Request, scope string) (*access.Grant, bool) {
	token := access.Bearer(r)
	if token == "" && threescaleAuth(scope) {
		token = access.Presented(r)
	}
	g, err := c.options.Tokens.Find(token)
	switch {
	case err != nil:
		w.Header().Set("WWW-Authenticate", `Bearer realm="reporterd"`)
		if threescaleAuth(scope) {
			w.Header().Add("WWW-Authenticate", `Basic realm="reporterd"`)
		}
		respond.Problem(w, http.StatusUnauthorized, c.whyRefused(err))
	case !g.May(scope):
		noteCaller(w, g.Name)
		w.Header().Set("WWW-Authenticate", `Bearer realm="reporterd", error="insufficient_scope", scope="`+scope+`"`)
		respond.Problem(w, http.StatusForbidden, "the token "+g.Name+" lacks the scope "+scope)
	default:
		return g, true
	}
	return nil, false
}

// whyRefused is the text for a caller whose token is missing or not known.
func (c *Console) whyRefused(err error) string {
	if c.options.Closed {
		return "a bearer token is needed, and none are configured: see admin.tokens_file and admin.open"
	}
	return err.Error()
}

// crossOrigin refuses requests that a browser sends for a page of another site.
var crossOrigin = http.NewCrossOriginProtection()

// policy allows pages only their own resources and no inline scripts: a name that contains markup stays text. No other page may
// show them in a frame.
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

// dnsRebound reports whether the host name of a request may belong to another site. A page of such a site can let its name resolve to
// this listener, and then its requests look like those of our page (DNS rebinding). If a token is required such a page has none, and a
// proxy may use any name. On a loopback address only names of this machine are accepted; elsewhere also names that cannot belong to
// another site.
func (c *Console) dnsRebound(r *http.Request) bool {
	local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	switch {
	case !ok || c.options.Tokens != nil || isHealthCheck(r):
		return false
	case local.IP.IsLoopback():
		return !access.Loopback(r.Host) && !access.NamedHost(r.Host, c.options.Hosts)
	}
	return !access.TrustedHost(r.Host, c.options.Hosts)
}

// passedOn reports whether a proxy passed a request on that would be answered because it comes from this machine. Where tokens are
// required, or the name that it asks under is configured, it may.
func (c *Console) passedOn(r *http.Request) bool {
	if _, tcp := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); !tcp || c.options.Tokens != nil || c.options.Insecure {
		return false
	}
	return !isHealthCheck(r) && !access.NamedHost(r.Host, c.options.Hosts) && access.PassedOn(r)
}

// isHealthCheck reports whether the request is /livez or /readyz of a load balancer or a supervisor. Such checks often have no
// host (HAProxy's is HTTP/1.0) or the balancer's. Details (?verbose) are shown under this machine's names only.
func isHealthCheck(r *http.Request) bool {
	return access.Reads(r) && (r.URL.Path == "/livez" || r.URL.Path == "/readyz") && r.URL.RawQuery == ""
}

// session answers with the scopes of the request's token, so that a page can show what is allowed.
func (c *Console) session(w http.ResponseWriter, r *http.Request) {
	page := struct {
		Asked  bool     `json:"asked"` // whether tokens are required
		Name   string   `json:"name"`
		Scopes []string `json:"scopes"`
		Offers []string `json:"offers"` // parts in addition to the console's own
	}{Asked: c.options.Tokens != nil, Scopes: slices.Clone(access.Scopes), Offers: append([]string{}, c.options.Offers...)}
	if page.Asked {
		g, err := c.options.Tokens.Find(access.Bearer(r))
		page.Scopes = []string{}
		if err == nil {
			page.Name = g.Name
			page.Scopes = slices.DeleteFunc(slices.Clone(access.Scopes), func(s string) bool { return !g.May(s) })
		}
	}
	respond.JSON(w, http.StatusOK, page)
}
