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
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
)

// Options are what a console shows and does. All functions may be called concurrently.
type Options struct {
	Build    Build
	Started  time.Time
	Snapshot func() Snapshot
	// Scraped is called when a scrape has read a snapshot: what is counted since the last scrape begins anew. Nil: nothing is.
	Scraped func()
	// Ready returns nil while the daemon can commit and accept, and otherwise why not.
	Ready func() error
	// Degraded says what does not work although the daemon is ready, a line each; nil: never anything.
	Degraded func() []string
	// Flush returns once what was accepted before the call is sealed and was tried, held lanes included, and says of each lane
	// what came of it. What could not be delivered then is not an error.
	Flush func(ctx context.Context) ([]FlushedLane, error)
	// Reload puts the services of the configuration in force as it is now. Its error says what is wrong
	// with it, without secrets; the one before then stays in force. removed are services that are meant to go.
	Reload func(removed []string) (Reloaded, error)
	// DeadLetters lists the dead letters a query chooses; its error is the disk's.
	DeadLetters func(ctx context.Context, q DeadLetterQuery) (DeadLetters, error)
	// DeadLetter is one of them; ErrNoDeadLetter when there is none of that id.
	DeadLetter func(ctx context.Context, id string) (json.RawMessage, error)
	// Requeue makes dead letters live again, Drop deletes them. Both return once that is durable.
	Requeue, Drop func(ctx context.Context, o DeadLetterOrder) (DeadLetterOutcome, error)
	// Parking is about reports whose outcome is unknown.
	Parking Parking
	// Names are what filters can name; its error is the disk's.
	Names func(ctx context.Context) (Names, error)
	// Tokens are asked for, each for what it is good for; nil: none are.
	Tokens *access.Tokens
	// Hosts are names under which the listener may be asked without a token, beside those that cannot be another site's.
	Hosts []string
	// Routes are served beside the console's own.
	Routes []Route

	// Offers are the names of what Routes serve and the page can show: ledger, reconcile.
	Offers []string
	Pprof  bool
	Log    *zap.Logger // nil: none
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

	following atomic.Int32 // who reads live figures
}

// New returns the handler of the admin listener. It owns no goroutine.
func New(o Options) *Console {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	c := &Console{options: o, routes: http.NewServeMux()}
	c.metrics = newMetrics(o)
	c.route()
	return c
}

// route mounts everything. What stands without a scope is open to all: it tells nothing but that the
// daemon runs, or is a page without figures.
func (c *Console) route() {
	all := slices.Concat(c.own(), c.options.Routes)
	if c.options.Pprof {
		all = append(all, profiles()...)
	}
	for _, r := range all {
		c.handle(r)
	}
}

func (c *Console) own() []Route {
	f := func(h func(http.ResponseWriter, *http.Request)) http.Handler { return http.HandlerFunc(h) }
	return []Route{
		{"GET /{$}", "", f(c.index)},
		{"GET /livez", "", f(c.live)},
		{"GET /readyz", "", f(c.ready)},
		{"GET /page/{file}", "", f(c.page)},
		{"GET /openapi.yaml", "", f(c.describe)},
		{"GET /openapi.json", "", f(c.describeAsJSON)},
		{"GET /api/v1", "", f(c.indexOfAPI)},
		{"GET /api/v1/{$}", "", f(c.indexOfAPI)},
		{"GET /api/v1/session", "", f(c.session)},
		{"GET /api/v1/live", access.Read, f(c.follow)},
		{"GET /api/v1/status", access.Read, f(c.status)},
		{"GET /api/v1/deadletters", access.Read, f(c.deadLetters)},
		{"GET /api/v1/deadletters/{id}", access.Read, f(c.deadLetter)},
		{"POST /api/v1/deadletters/requeue", access.Write, c.order(c.options.Requeue)},
		{"POST /api/v1/deadletters/drop", access.Write, c.order(c.options.Drop)},
		{"GET /api/v1/parked", access.Read, f(c.parked)},
		{"GET /api/v1/parked/{id}", access.Read, f(c.parkedReport)},
		{"POST /api/v1/parked/{id}/{fate}", access.Write, f(c.settle)},
		{"GET /api/v1/names", access.Read, f(c.names)},
		{"POST /-/flush", access.Write, f(c.flush)},
		{"POST /-/reload", access.Write, f(c.reload)},
		{"GET /metrics", access.Read, c.metrics},
	}
}

// profiles are Go's own. They show the daemon's memory, so they are not for everyone who may look.
func profiles() []Route {
	var all []Route
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		all = append(all, Route{"GET /debug/pprof/" + path, access.Write, h})
	}
	return all
}

// ServeHTTP answers one request. Answers are never cached, and run no script but their own. A page of
// another site cannot make a browser flush: unsafe methods from elsewhere are refused.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if c.rebound(r) {
		writeProblem(w, http.StatusMisdirectedRequest, "this name may be one of another site: use an address, localhost, or a name in admin.hosts")
		return
	}
	if err := crossOrigin.Check(r); err != nil {
		writeProblem(w, http.StatusForbidden, "a page of another site may not do this")
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		c.routes.ServeHTTP(w, r)
		return
	}
	c.audit(w, r)
}
