package daemon

import (
	"net/http"
	"sync/atomic"
)

// readinessGate stands in for a handler that does not exist yet. Listeners are bound before the data directory is read, so that a
// port in use is reported at once. Until the handler exists, producers get 503, and /livez answers, so that a supervisor does not
// kill a daemon that is recovering.
type readinessGate struct {
	handler atomic.Pointer[http.Handler]
}

// open passes requests to h from now on. It may be called while requests are served.
func (g *readinessGate) open(h http.Handler) { g.handler.Store(&h) }

// ServeHTTP answers one request.
func (g *readinessGate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if h := g.handler.Load(); h != nil {
		(*h).ServeHTTP(w, r)
		return
	}
	if r.URL.Path == "/livez" {
		_, _ = w.Write([]byte("ok\n")) // an error means that the client is gone
		return
	}
	w.Header().Set("Retry-After", "1")
	http.Error(w, "not ready: reading the data directory", http.StatusServiceUnavailable)
}
