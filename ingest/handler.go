// Package ingest takes usage in on the traffic listener: events on POST /v1/events, and 3scale's own
// POST /transactions.xml, so that any 3scale client works by changing its backend URL.
//
// A request is taken whole or not at all, and acknowledged once every event of it is durable. No answer is a
// redirect: clients follow a redirected POST with a GET and believe that it counted.
package ingest

import (
	"context"
	"github.com/reporterd/reporterd/event"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/internal/memory"
	"github.com/reporterd/reporterd/threescale"
)

const (
	// DefaultMaxBody is how large a body may be, expanded, in bytes.
	DefaultMaxBody = 8 << 20

	// DefaultMaxEvents is how many events one request may carry. It bounds what a body of DefaultMaxBody
	// can make the daemon allocate.
	DefaultMaxEvents = 100_000
)

// Options are what a Handler is made of.
type Options struct {
	Services    []Service
	Passthrough bool  // take reports for services that are not configured, with their own credentials
	MaxBody     int64 // 0: DefaultMaxBody
	MaxEvents   int   // 0: DefaultMaxEvents
	Journal     Journal
	Log         *zap.Logger // nil: none

	// Vouch, when not nil, returns the backend's refusal of credentials that are passed through, or nil. app is an application of
	// the report. It is also asked about credentials of a configured service that are not configured for it; without Vouch they are
	// refused.
	Vouch func(ctx context.Context, serviceID string, c threescale.Credentials, app threescale.Application) *threescale.Error

	// Trust takes reports of services that are not configured without asking Vouch.
	Trust bool

	// Admit, when not nil, returns why the usage of an event cannot be taken, empty where it can be. It is the last check of an event
	// before it is appended, with the credentials that came with it.
	Admit func(*event.Event) string

	// LateMargin is the least time that usage must have left of its 24 hours when it is accepted, so that it can be sealed
	// and reported before they are over. Older usage is refused: acknowledged, it would become a dead letter. 0: none.
	LateMargin time.Duration

	// Memory bounds the bodies of requests; nil: one of NewBudget that only this handler uses.
	Memory *memory.Budget

	// Tokens are those of producers, which native calls must carry; nil: no token is needed.
	Tokens *access.Tokens

	// Other, when not nil, returns the handler of a method and a path that this package does not know, or nil. The path
	// has no empty and no dot segments.
	Other func(method, path string) http.Handler
}

// Handler answers the traffic listener. Make one with NewHandler.
type Handler struct {
	passthrough bool
	maxBody     int64
	maxEvents   int
	vouch       func(context.Context, string, threescale.Credentials, threescale.Application) *threescale.Error
	trust       bool
	lateMargin  time.Duration
	admit       func(*event.Event) string
	journal     Journal
	tokens      *access.Tokens
	other       func(method, path string) http.Handler

	services atomic.Pointer[services]
	pool     sync.Pool // of *buffers
	memory   *memory.Budget
	counters counters
	health   health
	log      *zap.Logger
}

// NewHandler returns a handler that appends to o.Journal. It owns no goroutine and needs no closing.
func NewHandler(o Options) *Handler {
	if o.MaxBody == 0 {
		o.MaxBody = DefaultMaxBody
	}
	if o.MaxEvents == 0 {
		o.MaxEvents = DefaultMaxEvents
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Other == nil {
		o.Other = func(string, string) http.Handler { return nil }
	}
	h := &Handler{
		passthrough: o.Passthrough, maxBody: o.MaxBody, maxEvents: o.MaxEvents, lateMargin: o.LateMargin, admit: o.Admit,
		journal: o.Journal, tokens: o.Tokens, other: o.Other, vouch: o.Vouch, trust: o.Trust,
	}
	h.log, h.health = o.Log, newHealth(o.Log)
	if h.memory = o.Memory; h.memory == nil {
		h.memory = NewBudget(MaxMemory)
	}
	h.pool.New = func() any { return &buffers{account: memory.Account{Budget: h.memory}} }
	h.SetServices(o.Services)
	return h
}

// SetServices replaces the configured services, at once and for all requests that begin afterwards.
// It may be called while requests are served.
func (h *Handler) SetServices(list []Service) {
	s := newServices(list)
	s.excess = h.admit
	s.lateMargin = int64((h.lateMargin + time.Second - 1) / time.Second)
	h.services.Store(s)
}

// ServeHTTP routes by hand: http.ServeMux would answer //transactions.xml with a redirect and a wrong
// method with 405, where the backend serves the one and answers 404 to the other.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := clean(r.URL.Path)
	if path == "/v1/events" {
		h.serveEvents(w, r)
		return
	}
	if other := h.other(r.Method, path); other != nil {
		h.serveOther(w, r, path, other)
		return
	}
	switch {
	case strings.HasPrefix(path, "/v1/"):
		writeProblem(w, problem{Status: http.StatusNotFound, Detail: "there is nothing at this path"})
	case r.Method == http.MethodOptions:
		writePreflight(w)
	case path == "/transactions.xml" && r.Method == http.MethodPost:
		h.serveReport(w, r)
	case path == "/status" && reads(r):
		writeStatus(w)
	case path == "/check.txt" && reads(r):
		writeCheck(w)
	case path == "/available" && r.Method == http.MethodHead:
		writeEmpty(w, http.StatusOK)
	default:
		writeUnknown(w)
	}
}

// serveOther answers calls that Options.Other knows. Native calls among them need a token, where tokens are configured.
func (h *Handler) serveOther(w http.ResponseWriter, r *http.Request, path string, other http.Handler) {
	if strings.HasPrefix(path, "/v1/") {
		g, refused := h.authenticate(r)
		if refused != nil {
			h.refuseCaller(w, r, *refused)
			return
		}
		if g != nil {
			r = r.WithContext(access.With(r.Context(), g))
		}
		if !h.takeAuthrep(w, r, path) {
			return
		}
	}
	other.ServeHTTP(w, r)
}

// takeAuthrep takes the usage of a native authrep out of its sender's rate, as one event. It returns false when it has refused the
// call.
func (h *Handler) takeAuthrep(w http.ResponseWriter, r *http.Request, path string) bool {
	if path != "/v1/authrep" {
		return true
	}
	g := access.From(r.Context())
	wait := g.Take(1)
	if wait > 0 {
		retryAfter(w, wait)
		h.refuseCaller(w, r, overRate(g))
	}
	return wait == 0
}

func reads(r *http.Request) bool { return r.Method == http.MethodGet || r.Method == http.MethodHead }
