// Package authorize answers "may this application make this call?" from memory, in the words of 3scale's backend.
//
// An answer is remembered under everything the backend looks at to give it: service, credentials, application, application key
// (absent, empty, or which), referrer, redirect and endpoint. In memory that is one keyed hash; no key is kept in clear
// (entry.go). Limits are not part of an answer. They belong to the application, with every key: authorize/quota holds
// every call against them anew, with all usage that was accepted here.
//
// With this daemon as the only reporter a limit of N grants N, however long the backend's worker takes to count a report. What
// other reporters use is seen with the first answer of the backend after it was counted there: the overshoot is at most what they
// use in the TTL, the time until they have reported it, and the time until the backend's worker has counted it. While the worker
// is behind, usage of other reporters is also hidden by as much of our own usage as it has not counted; Stats.Behind says how much
// that is. Usage that the backend dropped after its 202 counts until it can no longer be counted, for 26 to 52 hours, or until
// the limit's period is over: that errs on the side of denying.
//
// A service and an application have one account under all their names, once the backend has told what a name means: with the first
// answer about the application (quota/names.go). What counted under another name until then is moved. An application id whose user
// key was never seen cannot be resolved: the backend does not tell user keys.
//
// One case costs exactness for a while: where a metric without a limit lies between two that have one, what the lower uses counts
// for the upper from the second answer on (hierarchyprobe.go).
//
// Until all usage that was pending before the first authorization is counted, calls wait, for 10 s at most; then the Mode
// answers, and only Allow grants.
//
// The usage of an authrep is in the journal before its yes is sent (A1). The Mode says what is answered while the backend
// cannot be asked.
package authorize

import (
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize/quota"
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

// Options are what an Authorizer is made of. TTL, DenyTTL and MaxStale are taken as they are: zero remembers nothing. Other
// zero fields have the documented defaults.
type Options struct {
	Mode       Mode
	TTL        time.Duration // how long a yes is served without asking again
	DenyTTL    time.Duration // how long a no is
	MaxStale   time.Duration // how long an answer may be served while the backend cannot be asked
	MaxEntries int           // answers remembered
	MaxBytes   int64         // of memory for them, estimated
	Timeout    time.Duration // of one call of the backend, from asking to the last byte

	Services    []Service
	Passthrough bool // ask for services that are not configured, with their own credentials

	Client  *threescale.Client // apart from the report path's, so that neither waits for the other's connections
	Journal quota.Journal      // where the usage of an authrep becomes durable
	Quota   *quota.Tracker     // counts what is not reported yet
	Log     *zap.Logger        // nil: none

	// OnProof, when not nil, is told what an answer of the backend proves: the application exists, and so do the metrics
	// named, if any, as of asked, when the question was put. It is called once for every answer, and must not block.
	OnProof func(service string, c threescale.Credentials, app threescale.Application, metrics []string, asked time.Time)
	// OnDenial, when not nil, is told when an answer of the backend says that an application, or a metric, does not exist. It
	// must not block.
	OnDenial func(service string, c threescale.Credentials, app threescale.Application, d Denial)
}

// followed is how many applications a Tracker should follow for each answer that may be remembered: usage of applications that
// no call asked about yet is followed, too.
const followed = 4

// Applications returns how many applications the Tracker of these options should follow at most.
func (o Options) Applications() int { return max(o.withDefaults().MaxEntries, 1000) * followed }

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

// Authorizer answers authorizations. Any number of goroutines may use one. Its only goroutines are those that ask the backend,
// each of which Options.Timeout ends.
type Authorizer struct {
	options Options
	log     *zap.Logger
	secret  [32]byte // of the keyed hashes; new in every process

	configured atomic.Pointer[directory]
	restored   restoredAnswers
	good       *cache // answers that may lead to a yes
	bad        *cache // answers that never do, so that a flood of wrong keys cannot drive out right ones
	quota      *quota.Tracker
	breakers   breakers
	voucher    voucher
	flights    flights
	moments    momentsCache
	counters   counters
	outage     journalOutage
	buffers    sync.Pool // of *reply
}

// New returns an Authorizer that remembers nothing yet.
func New(o Options) *Authorizer {
	o = o.withDefaults()
	a := &Authorizer{options: o, log: o.Log, quota: o.Quota}
	_, _ = rand.Read(a.secret[:]) // never fails: crypto/rand ends the process instead
	a.good = newCache(o.MaxEntries, o.MaxBytes, forget)
	a.bad = newCache(max(o.MaxEntries/4, 64), max(o.MaxBytes/4, 64<<10), forget)
	a.breakers.byService = make(map[quota.ID]*breaker)
	a.voucher.known, a.voucher.asking = make(map[digest]*vouched), make(chan struct{}, maxVouching)
	a.voucher.unchecked = make(map[digest]struct{})
	a.flights.byKey = make(map[digest]*flight)
	a.outage.log = o.Log
	a.buffers.New = func() any { return new(reply) }
	a.SetServices(o.Services)
	return a
}

// SetServices replaces the configured services, for all calls that begin afterwards. It may be called while calls are
// answered.
func (a *Authorizer) SetServices(list []Service) {
	for i := range list { // before passed-through services can take their place
		a.quota.KeepService(quota.ServiceName{ID: list[i].ID})
	}
	a.configured.Store(newDirectory(list))
}

// forget is called for every answer that leaves a cache.
func forget(e *entry) {
	if e.application != nil {
		e.application.Release()
	}
}
