package daemon

import (
	"net/http"
	"sync/atomic"
)

// readinessGate stands before a handler that does not exist yet. Listeners are bound before the data directory is
// read, so that a taken port shows at once; until then producers are told to come back, and /livez
// answers, lest a supervisor kill a daemon that is busy recovering.
type readinessGate struct {
	handler atomic.Pointer[http.Handler]
}

// open lets requests through to h. It may be called while requests are served.
func (g *readinessGate) open(h http.Handler) { g.handler.Store(&h) }

// ServeHTTP answers one request.
func (g *readinessGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := g.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/livez" {
		_, _ = w.Write([]byte("ok\n")) // the reader went away: nobody to tell
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "not ready: reading the data directory", http.StatusServiceUnavailable)
}
