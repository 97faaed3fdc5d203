package ingest

import (
	"net/http"
	"net/url"

	"github.com/reporterd/reporterd/access"
)

// admit says who makes a native call: nil where nobody is asked. Otherwise p says why the call is not
// taken. 3scale's own calls are not judged here: they carry 3scale's credentials.
func (h *Handler) admit(r *http.Request) (g *access.Grant, p *problem) {
	if h.tokens == nil {
		if byStrangePage(r) {
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

// byStrangePage reports whether a browser sends this for a page that is not of this machine. Where no
// token is asked for, being on this machine is the credential, and a browser on it would lend it to every
// page it shows. A browser names the page with every POST; programs do not.
func byStrangePage(r *http.Request) bool {
	origins := r.Header["Origin"]
	if len(origins) == 0 {
		return false
	}
	u, err := url.Parse(origins[0])
	return err != nil || !access.Loopback(u.Host)
}

// refuseCaller answers a call whose sender may not make it.
func (h *Handler) refuseCaller(w http.ResponseWriter, r *http.Request, p problem) {
	h.mark(w, r, p.Status)
	if p.Status == http.StatusUnauthorized {
		w.Header()["Www-Authenticate"] = []string{`Bearer realm="reporterd"`}
	}
	writeProblem(w, p)
}

// vouched answers calls whose senders were asked who they are by somebody else: a message bus.
type vouched struct{ *Handler }

// ServeHTTP answers one call without asking for a token.
func (v vouched) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if other := v.other(r.Method, clean(r.URL.Path)); other != nil {
		other.ServeHTTP(w, r)
		return
	}
	v.Handler.ServeHTTP(w, r)
}

// Vouched returns what answers authorizations as h does, without asking for a token.
func (h *Handler) Vouched() http.Handler { return vouched{h} }
