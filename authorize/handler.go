package authorize

import (
	"errors"
	"net/http"

	"github.com/reporterd/reporterd/threescale"
)

// Handler returns what answers a method on a path, whose empty and dot segments are gone; nil for
// everything that is not an authorization. GET and HEAD of authrep count, both.
func (a *Authorizer) Handler(method, path string) http.Handler {
	switch path {
	case "/v1/authorize":
		return native{a, false}
	case "/v1/authrep":
		return native{a, true}
	}
	if method != http.MethodGet && method != http.MethodHead {
		return nil
	}
	switch path {
	case "/transactions/authorize.xml":
		return classic{a, false, false}
	case "/transactions/authrep.xml":
		return classic{a, true, false}
	case "/transactions/oauth_authorize.xml":
		return classic{a, false, true}
	case "/transactions/oauth_authrep.xml":
		return classic{a, true, true}
	}
	return nil
}

// classic answers one of 3scale's own GET calls.
type classic struct {
	*Authorizer
	authrep, oauth bool
}

// ServeHTTP implements http.Handler.
func (c classic) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r := c.buffers.Get().(*reply)
	defer c.release(r)
	r.authrep, r.call.oauth = c.authrep, c.oauth
	if err := c.read(&r.call, req); err != nil {
		if !errors.As(err, &r.err) {
			r.err = threescale.SyntaxErrors()
		}
		c.counters.deny(r.err.Code)
	} else {
		c.answer(req.Context(), r)
	}
	r.write(w)
}

// keepBody bounds the answers whose room is kept for the next call, in bytes.
const keepBody = 64 << 10

func (a *Authorizer) release(r *reply) {
	if cap(r.body) > keepBody {
		return
	}
	r.reset()
	a.buffers.Put(r)
}
