package ingest

import (
	"net/http"
	"net/url"

	"github.com/reporterd/reporterd/access"
)

// authenticate returns the grant of a native call's token: nil where no tokens are configured. When p is not nil the call
// must be refused with it. 3scale's own calls are not checked here: they carry 3scale's credentials.
func (h *Handler) authenticate(r *http.Request) (g *access.Grant, p *problem) {
	if h.tokens == nil {
		if crossSite(r) {
			return nil, &problem{Status: http.StatusForbidden, Detail: "a page of another site may not do this"}
		}
		return nil, nil
	}
	g, err := h.tokens.Find(access.Bearer(r))
	if err != nil {
		return nil, &problem{Status: http.StatusUnauthorized, Detail: err.Error()}
	}
	return g, nil
}

// crossSite reports whether a browser sends the request for a page that is not of this machine. Without tokens, a
// program on this machine may call, and a browser on it would let every page that it shows do the same. A browser
// names the page's origin with every POST, and recent ones say where it stands; programs do neither.
func crossSite(r *http.Request) bool {
	switch site := header(r, "Sec-Fetch-Site"); {
	case r.Header["Origin"] != nil:
		u, err := url.Parse(r.Header.Get("Origin"))
		return err != nil || !access.Loopback(u.Host)
	default:
		return site == "cross-site" || site == "same-site"
	}
}

// refuseCaller answers a call that its sender may not make.
func (h *Handler) refuseCaller(w http.ResponseWriter, r *http.Request, p problem) {
	h.setRequestID(w, r, p.Status)
	if p.Status == http.StatusUnauthorized {
		w.Header()["Www-Authenticate"] = []string{`Bearer realm="reporterd"`}
	}
	writeProblem(w, p)
}

// unauthenticated answers calls whose senders were authenticated elsewhere: by a NATS server.
type unauthenticated struct{ *Handler }

// ServeHTTP answers one call without asking for a token.
func (u unauthenticated) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := clean(r.URL.Path)
	if other := u.other(r.Method, path); other != nil {
		if u.takeAuthrep(w, r, path) {
			other.ServeHTTP(w, r)
		}
		return
	}
	u.Handler.ServeHTTP(w, r)
}

// Unauthenticated returns a handler that answers authorizations as h does, without asking for a token. Its caller puts the
// sender's grant into the request's context, if there is one.
func (h *Handler) Unauthenticated() http.Handler { return unauthenticated{h} }
