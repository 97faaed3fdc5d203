// Package console is the admin listener: health, status, metrics, dead letters, flush.
//
// It decides nothing. Everything it shows comes from the functions in Options, so it does not import the parts. Metric names are
// API; metrics.go documents them.
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
	"github.com/reporterd/reporterd/internal/respond"
)

// Options are the functions that a console calls. All may be called concurrently.
type Options struct {
	Build   Build
	Started time.Time
	// Snapshot returns the figures. Of the lanes with credentials that reporters sent it names at most so many, those with the
	// oldest usage, and sums up the rest by state.
	Snapshot func(lanes int) Snapshot
	// Whole returns the figures of all replicas together; nil: Snapshot does. It waits for other replicas two seconds at most.
	Whole func(ctx context.Context, lanes int) Snapshot
	// Scraped is called after a scrape has read a snapshot, to reset the figures that count since the last scrape; may be nil.
	Scraped func()
	// Ready returns nil while the daemon can commit and accept events, and otherwise the reason.
	Ready func() error
	// Degraded returns what does not work although the daemon is ready, a line each; may be nil.
	Degraded func() []string
	// Flush returns once everything accepted before the call is sealed and a report of it was tried, including held lanes, with
	// the result of each lane. Usage that could not be delivered is not an error.
	Flush func(ctx context.Context) ([]FlushedLane, error)
	// Reload applies the configuration as it is now. Its error says what is wrong with it, without secrets; the previous one
	// stays in effect then. removed are services that are removed on purpose.
	Reload func(removed []string) (Reloaded, error)
	// DeadLetters returns the dead letters that a query selects; its error is a disk error.
	DeadLetters func(ctx context.Context, q DeadLetterQuery) (DeadLetters, error)
	// DeadLetter returns one dead letter; ErrNoDeadLetter if the id is unknown.
	DeadLetter func(ctx context.Context, id string) (json.RawMessage, error)
	// Requeue makes dead letters pending again, Drop deletes them. Both return once that is durable.
	Requeue, Drop func(ctx context.Context, o DeadLetterOrder) (DeadLetterOutcome, error)
	// Parking lists and decides about reports with an unknown outcome.
	Parking Parking
	// Names returns the names for filters; its error is a disk error.
	Names func(ctx context.Context) (Names, error)
	// History keeps the counters of the last hours; nil: it is empty.
	History *History
	// Tokens are required, each with its scopes; nil: no token is required.
	Tokens *access.Tokens
	// Closed says that Tokens are those of the daemon's own commands only, since none are configured.
	Closed bool
	// Insecure says that requests that a proxy passed on are answered, too, where no Tokens are required.
	Insecure bool
	// Hosts are host names accepted without a token, in addition to those that cannot belong to another site.
	Hosts []string
	// Routes are served in addition to the console's own.
	Routes []Route

	// Offers are the names of parts that Routes serve and the page can show: ledger, reconcile.
	Offers []string
	Pprof  bool
	Log    *zap.Logger // nil: none
}

// Build identifies the program.
type Build struct {
	Version, Commit, Go string
}

// Console answers requests of the admin listener.
type Console struct {
	options Options
	metrics http.Handler
	routes  *http.ServeMux

	following atomic.Int32 // readers of live figures
}

// New returns the handler of the admin listener. It starts no goroutine.
func New(o Options) *Console {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	c := &Console{options: o, routes: http.NewServeMux()}
	c.metrics = newMetrics(o)
	c.route()
	return c
}

// route registers all routes. Those without a scope are open to all callers: they show only that the daemon runs, or are a page
// without figures.
func (c *Console) route() {
	all := slices.Concat(c.ownRoutes(), c.options.Routes)
	if c.options.Pprof {
		all = append(all, profiles()...)
	}
	for _, r := range all {
		c.handle(r)
	}
}

func (c *Console) ownRoutes() []Route {
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
		{"GET /api/v1/history", access.Read, f(c.history)},
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

// profiles are Go's profiling handlers. They show the daemon's memory, so they need the scope write.
func profiles() []Route {
	var all []Route
	for path, h := range map[string]http.HandlerFunc{
		"": pprof.Index, "cmdline": pprof.Cmdline, "profile": pprof.Profile, "symbol": pprof.Symbol, "trace": pprof.Trace,
	} {
		all = append(all, Route{"GET /debug/pprof/" + path, access.Write, h})
	}
	return all
}

// ServeHTTP answers one request. Answers are never cached, and run only the console's own scripts. A page of another site cannot
// make a browser flush: unsafe methods from other origins are refused.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	protect(w.Header())
	if c.dnsRebound(r) {
		respond.Problem(w, http.StatusMisdirectedRequest, "this name may be one of another site: name it in admin.hosts, or use tokens; behind a proxy always use tokens")
		return
	}
	if c.passedOn(r) {
		c.auditRefusal(r)
		respond.Problem(w, http.StatusForbidden, "a proxy passed this request on, and without tokens only callers on this machine are answered: see admin.tokens_file and admin.hosts")
		return
	}
	if err := crossOrigin.Check(r); err != nil {
		c.auditRefusal(r)
		respond.Problem(w, http.StatusForbidden, "a page of another site may not do this")
		return
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		c.routes.ServeHTTP(w, r)
		return
	}
	c.audit(w, r)
}
