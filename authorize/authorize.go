// Package authorize answers "may this application make this call?" from memory, in the words of
// 3scale's backend, and counts what the backend has not been told yet.
//
// An answer is remembered under everything the backend looks at to give it: service, credentials,
// application, application key (absent, empty, or which), referrer, redirect and endpoint; in memory
// that is one keyed hash, no key is kept in clear (entry.go). Limits are not part of an answer. They
// belong to the application, whatever key it shows, and every call is held against them anew
// (limit.go), with all usage that was accepted here (metricusage.go) up the hierarchy of metrics as far as
// the backend tells it (hierarchy.go).
//
// With this daemon as the only reporter a limit of N grants N. With others, what they use is seen at the
// next answer of the backend after it was counted there: the overshoot is at most what the others use in
// the TTL, the time until they have reported it, and the time until the backend's worker has counted it.
// Four cases cost exactness for a while: what was delivered just before the first question about an application, and
// the worker has not counted yet, is seen with the second; usage of one application by id here and by user key there counts
// apart until it is delivered; a worker more than a minute behind its 202 is taken for one that threw
// the report away; and where a metric without a limit lies between two that have one, what the lower uses
// weighs on the upper from the second answer on (hierarchyprobe.go).
//
// Usage that was pending before the first authorization of a life is read beside everything else (backlog.go). Until all
// of it is counted calls wait, and then the Mode answers: it errs on the side of denying, but for Allow.
//
// A yes to an authrep has its usage in the journal before it leaves. What is answered while the
// backend is away is the Mode's to say.
package authorize

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/threescale"
)

// The defaults of Options, as the configuration documents them.
const (
	DefaultTTL        = 30 * time.Second
	DefaultDenyTTL    = 10 * time.Second
	DefaultMaxStale   = time.Hour
	DefaultMaxEntries = 100_000
	DefaultMaxBytes   = 256 << 20
	DefaultTimeout    = 2 * time.Second
)

// Options are what an Authorizer is made of. TTL, DenyTTL and MaxStale are taken as they are: zero
// remembers nothing. Other zero fields have the documented defaults.
type Options struct {
	Mode       Mode
	TTL        time.Duration // how long a yes is served without asking again
	DenyTTL    time.Duration // how long a no is
	MaxStale   time.Duration // how long an answer may be served while the backend is away
	MaxEntries int           // answers remembered
	MaxBytes   int64         // memory for them, about
	Timeout    time.Duration // for one call of the backend, from asking to the last byte

	Services    []Service
	Passthrough bool // ask for services that are not configured, with their own credentials

	Client  *threescale.Client // apart from the report path's, so that neither waits for the other's connections
	Journal Journal            // where the usage of an authrep becomes durable
	Log     *zap.Logger        // nil: none

	// Pending, when not nil, opens what was accepted and not delivered by now. It is called once, while no usage is
	// accepted or settled, and must return soon. See Follow.
	Pending func() Backlog

	// OnProof, when not nil, is told what an answer of the backend proves: the application exists, and
	// so do the metrics named, if any, as of asked, when the question was put. It is called once for every answer,
	// and must not block.
	OnProof func(service string, c threescale.Credentials, app threescale.Application, metrics []string, asked time.Time)
	// OnDenial, when not nil, is told when an answer of the backend says that an application, or a metric, does not
	// exist. It must not block.
	OnDenial func(service string, c threescale.Credentials, app threescale.Application, d Denial)
}

// Denial says in the backend's words, without secrets, that something does not exist.
type Denial struct {
	Metric     string // empty: the application
	Status     int
	Code, Text string
}

func (o Options) withDefaults() Options {
	if o.MaxEntries <= 0 {
		o.MaxEntries = DefaultMaxEntries
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.Timeout <= 0 {
		o.Timeout = DefaultTimeout
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return o
}

// Authorizer answers authorizations. Any number of goroutines may use one. It owns no goroutine but
// those that ask the backend, each of which Options.Timeout ends.
type Authorizer struct {
	options Options
	log     *zap.Logger
	secret  [32]byte // of the keyed hashes; new in every process

	configured atomic.Pointer[directory]
	good       *cache // answers that may lead to a yes
	bad        *cache // answers that never do, so that a flood of wrong keys cannot drive out right ones
	services   services
	ledger     ledger
	flights    flights
	clock      clock
	counters   counters
	trouble    trouble
	buffers    sync.Pool // of *reply
}

// New returns an Authorizer that remembers nothing yet.
func New(o Options) *Authorizer {
	o = o.withDefaults()
	a := &Authorizer{options: o, log: o.Log}
	_, _ = rand.Read(a.secret[:]) // never fails: crypto/rand ends the process instead
	a.good = newCache(o.MaxEntries, o.MaxBytes, a.forget)
	a.bad = newCache(max(o.MaxEntries/4, 64), max(o.MaxBytes/4, 64<<10), a.forget)
	a.services.byKey = make(map[identity]*service)
	a.flights.byKey = make(map[digest]*flight)
	a.ledger.init(o.MaxEntries, &a.clock)
	a.trouble.log = o.Log
	a.buffers.New = func() any { return new(reply) }
	a.SetServices(o.Services)
	return a
}

// SetServices replaces the configured services, for all calls that begin afterwards. It may be called
// while calls are answered.
func (a *Authorizer) SetServices(list []Service) {
	for i := range list { // so that they have their place before others are asked for
		a.services.of(identifyService(list[i].ID, threescale.Credentials{})).used.Store(true)
	}
	a.configured.Store(newDirectory(list))
}

// forget is called for every answer that leaves a cache.
func (a *Authorizer) forget(e *entry) {
	if e.application != nil {
		e.application.references.Add(-1)
	}
}
