// Package sandbox is a stand-in for 3scale's backend: Apisonator 3.4.3 as its recordings show it, with
// the services they were made with (1001 to 1005 and 2001), counters in memory, and faults on demand.
//
// Reports are answered before their content is looked at. A worker judges them afterwards, all or
// nothing, and counts by application and by service in every calendar period, up the hierarchy of
// metrics. Authorizations see limits, keys, referrers and states. The replay test holds all of this against
// every recording.
//
// Beside 3scale's own calls there are some for demos and tests, in JSON:
//
//	GET  /sandbox/usage         counted by service, application and metric, ancestors included, once
//	                            the worker has done what was queued:
//	                            {"1001":{"app1":{"hits":12}}}
//	GET  /sandbox/counters      the counters of one application, or without app_id of a whole service:
//	     ?service_id=&app_id=   {"metrics":{"hits":{"day":{"2026-11-21T00:00:00Z":12}}},"codes":{…}}
//	GET  /sandbox/calls         figures (type Calls)
//	GET  /sandbox/errors        errors that the backend stores and no answer contains: type IntegrationError
//	GET  /sandbox/faults        the faults still to come
//	PUT  /sandbox/faults        replaces all faults (types Faults and Fault); {} takes them away
//	PUT  /sandbox/applications  creates or alters applications: one (type ApplicationChange), or an
//	                            array of them, of which then all or none are taken
//	PUT  /sandbox/services      the same for services (type ServiceChange): tokens, state, metrics
//	GET  /stats/…               the admin portal's Analytics and Account Management APIs, in JSON, with the
//	     /admin/api/…           access tokens of portal.go
//	POST /sandbox/reset         empty counters, queue and figures, no faults, no memories; services and
//	                            applications stay as they are
//
// Memory is bounded: by MaxApplications, and per counter by what its period needs (series.go). An
// application counted today in three metrics takes about a kilobyte.
//
// Faults are of three kinds: how calls go wrong (Fault), what happens to the worker at a job (WorkerFault: it
// stops, is late, is killed in the middle of a job, runs one again, sends a slice twice), and how the
// backend is as a whole (Backend: its clock, a Date, its processes and how long each remembers).
//
// What the real backend does and this one does not: a job that crashes its worker for its values is not run
// again; the transaction that would crash it is left out and the rest is counted once. However many
// workers there are, they take jobs one after the other. There are no alerts, and no internal API.
package sandbox

import (
	"net/http"
	"sync"
	"time"
)

// Options are what differs from one sandbox to another. The zero Options remember nothing, and work a
// report off before the next call is answered.
type Options struct {
	// Now is the clock; nil is time.Now. With a WorkerDelay it must run as time does.
	Now func() time.Time

	// NegativeCache is how long the listener, and the worker on its own, go on believing that a service, a
	// token, an application or a user key they asked for does not exist: 60 s in the real backend.
	NegativeCache time.Duration

	// PositiveCache is how long they go on believing a record they have seen: keys, state, plan and limits.
	// 60 s in the real backend.
	PositiveCache time.Duration

	// WorkerDelay is how long a report waits before the worker gets to it. Windows of timestamps are judged
	// then.
	WorkerDelay time.Duration
}

// MaxApplications bounds the applications of all services together.
const MaxApplications = 250_000

// Sandbox is an http.Handler. Any number of calls may be made at the same time. It has no goroutines and
// needs no closing.
type Sandbox struct {
	now         func() time.Time
	options     Options
	workerDelay time.Duration

	mu        sync.Mutex // guards all below; held for one decision or one job, never while waiting or writing
	directory *directory
	memories  memoriesOf
	listeners *processes // those that answer
	workers   *processes // those that count, one job after the other
	ledgers   map[string]*ledger
	queue     []*job    // oldest first
	pending   int       // transactions in the queue
	late      []*job    // those that are kept away from the queue, the next first
	free      time.Time // when the worker was done with its last job
	faults    Faults
	calls     Calls
	errors    []IntegrationError // oldest first, at most maxErrors
}

// New returns a sandbox with the fixtures and nothing counted.
func New(o Options) *Sandbox {
	s := &Sandbox{now: o.Now, options: o, workerDelay: o.WorkerDelay, directory: fixtures(), ledgers: make(map[string]*ledger)}
	if s.now == nil {
		s.now = time.Now
	}
	s.startProcesses()
	return s
}

// NewServer returns a server with the timeouts and header sizes of the real backend's: a connection is
// closed after 20 s idle, and a request must arrive within 30 s (recording keepalive-idle-timeout). The
// caller listens, serves and closes.
func NewServer(s *Sandbox) *http.Server {
	return &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		ReadTimeout:       30 * time.Second,
		IdleTimeout:       20 * time.Second,
		MaxHeaderBytes:    112 << 10,
	}
}

// Reset empties counters, queue, figures and stored errors, and takes faults and memories away. Services
// and applications stay as they are.
func (s *Sandbox) Reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.ledgers)
	s.queue, s.pending, s.late, s.free = nil, 0, nil, time.Time{}
	s.faults, s.calls, s.errors = Faults{}, Calls{}, nil
	s.startProcesses()
	s.listeners.forget()
	s.workers.forget()
}

// ledger returns a service's counters. The caller holds s.mu.
func (s *Sandbox) ledger(serviceID string) *ledger {
	l := s.ledgers[serviceID]
	if l == nil {
		l = newLedger()
		s.ledgers[serviceID] = l
	}
	return l
}
