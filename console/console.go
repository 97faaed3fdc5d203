// Package console is the admin listener: health, status, metrics, dead letters, flush.
//
// It decides nothing. Everything it shows comes from the functions in Options, so it knows none of the
// parts it shows. Metric names are API; metrics.go documents them.
package console

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/pprof"
	"time"

	"go.uber.org/zap"
)

// Options are what a console shows and does. All functions may be called concurrently.
type Options struct {
	Build    Build
	Started  time.Time
	Snapshot func() Snapshot
	// Ready returns nil while the daemon can commit and accept, and otherwise why not.
	Ready func() error
	// Degraded says what does not work although the daemon is ready, a line each; nil: never anything.
	Degraded func() []string
	// Flush returns once what was accepted before the call is sealed and was tried. What could not be
	// delivered then is not an error.
	Flush func(ctx context.Context) error
	// Reload puts the services of the configuration in force as it is now. Its error says what is wrong
	// with it, without secrets; the one before then stays in force.
	Reload func() error
	// DeadLetters lists the dead letters a query chooses; its error is the disk's.
	DeadLetters func(ctx context.Context, q DeadLetterQuery) (DeadLetters, error)
	// DeadLetter is one of them; ErrNoDeadLetter when there is none of that id.
	DeadLetter func(ctx context.Context, id string) (json.RawMessage, error)
	// Requeue makes dead letters live again, Drop deletes them. Both return once that is durable.
	Requeue, Drop func(ctx context.Context, o DeadLetterOrder) (DeadLetterOutcome, error)
	// Parking is about reports whose outcome is unknown.
	Parking Parking
	Pprof   bool
	Log     *zap.Logger
}

// Build names the program.
type Build struct {
	Version, Commit, Go string
}

// Console answers the admin listener.
type Console struct {
	options Options
	metrics http.Handler
	routes  *http.ServeMux
}

// New returns the handler of the admin listener. It owns no goroutine.
func New(o Options) *Console {
	c := &Console{options: o, routes: http.NewServeMux()}
	c.metrics = newMetrics(o)
	c.route()
	return c
}

func (c *Console) route() {
	c.routes.HandleFunc("GET /{$}", c.index)
	c.routes.HandleFunc("GET /livez", c.live)
	c.routes.HandleFunc("GET /readyz", c.ready)
	c.routes.HandleFunc("GET /api/v1/status", c.status)
	c.routes.HandleFunc("GET /api/v1/deadletters", c.deadLetters)
	c.routes.HandleFunc("GET /api/v1/deadletters/{id}", c.deadLetter)
	c.routes.HandleFunc("POST /api/v1/deadletters/requeue", c.order(c.options.Requeue))
	c.routes.HandleFunc("POST /api/v1/deadletters/drop", c.order(c.options.Drop))
	c.routes.HandleFunc("GET /api/v1/parked", c.parked)
	c.routes.HandleFunc("POST /api/v1/parked/{id}/{fate}", c.settle)
	c.routes.HandleFunc("POST /-/flush", c.flush)
	c.routes.HandleFunc("POST /-/reload", c.reload)
	c.routes.Handle("GET /metrics", c.metrics)
	if c.options.Pprof {
		c.routes.HandleFunc("GET /debug/pprof/", pprof.Index)
		c.routes.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
		c.routes.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		c.routes.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		c.routes.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
}

// ServeHTTP answers one request. Answers are never cached and never run a script. A page of another
// site cannot make a browser flush: unsafe methods from elsewhere are refused.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; frame-ancestors 'none'")
	if err := crossOrigin.Check(r); err != nil {
		writeProblem(w, http.StatusForbidden, "a page of another site may not do this")
		return
	}
	c.routes.ServeHTTP(w, r)
}

var crossOrigin = http.NewCrossOriginProtection()
