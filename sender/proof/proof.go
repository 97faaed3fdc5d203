// Package proof knows which applications and metrics the backend recently vouched for, and asks it about
// the rest.
//
// The backend drops a whole report for one application or metric that it does not know, after its 202
// and in silence. Only what an authorize call has vouched for may therefore share a report. Proofs is
// what is known, Prober asks what is not, at a bounded rate, and both together survive a restart.
//
// What an answer proves is protocol: of an application, any 200 and any 409, since the application is
// looked up before anything that can deny; of metrics, a 200 or a 409 limits_exceeded, and with no_body
// any 409, because only then are metrics looked at first (recordings auth-wrong-key-and-metric,
// auth-wrong-key-and-metric-no-body).
package proof

import (
	"crypto/rand"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// State is what is known of a transaction's application and metrics.
type State uint8

// The states, from the best to the worst.
const (
	Proven    State = iota // may share a report with other proven ones
	Waiting                // denied or unsettled so far; not before Assessment.At can there be more to say
	Unknown                // nothing is known that still counts: ask
	Unaskable              // reports take this name, authorizations do not: may travel, alone
	Refused                // denied for longer than the backend remembers absence: will never be taken
)

// Defaults of Options.
const (
	DefaultLife  = 30 * time.Minute
	DefaultGrace = 65 * time.Second
	defaultMost  = 2_000_000
)

const (
	freshDenial = 60 * time.Second // a denial older than this is asked for again before it condemns
	leastApart  = 10 * time.Second // between two questions about what was denied
)

// Options of New. The zero value has the documented defaults.
type Options struct {
	Life time.Duration // how long a proof counts; 0: 30 min
	// Grace is the backend's negative cache, 60 s, and a margin (recording negative-cache-60s): a denial
	// condemns what was there that long before it, and what was denied settles that long before it may
	// share. 0: 65 s.
	Grace time.Duration
	Most  int // applications and metrics remembered; 0: 2,000,000; some 100 bytes each

	// Unresolved reports whether the backend should tell what a name stands for: the same question asks for that, too. Named is called
	// with the names that the backend has, which may be empty. Both are nil, or may be called concurrently.
	Unresolved func(Scope, threescale.Application) bool
	Named      func(s Scope, a threescale.Application, serviceID, applicationID string)
}

// Proofs is what is known of applications and metrics. An application exists in a service; a metric
// exists in a service, for every application. Its methods may be called concurrently.
type Proofs struct {
	life  time.Duration
	grace int64 // seconds
	most  int

	unresolved func(Scope, threescale.Application) bool // nil: no name is asked for
	named      func(s Scope, a threescale.Application, serviceID, applicationID string)

	mu      sync.Mutex // guards what follows
	salt    [16]byte
	records map[key]record
	naming  map[key]*naming // what Name was called for and has not ended
	changed bool            // since the last Save
}

// record is what is known of one subject. Times are Unix seconds, 0 never; 32 bits do until 2106.
type record struct {
	until     uint32   // proven until then
	denied    uint32   // the latest denial
	named     uint32   // the latest report that named it without proof
	unaskable uint32   // until then
	refusal   *Refusal // of the latest denial; nil after a restart
}

// naming is a subject that reports under way name without a proof.
type naming struct {
	reports int
	before  uint32 // record.named before the first of them
	landed  bool   // the backend may have taken one of them
}

// Refusal is a denial in the backend's words, without secrets.
type Refusal struct {
	Status     int
	Code, Text string
}

// New returns Proofs that know nothing.
func New(o Options) *Proofs {
	if o.Life <= 0 {
		o.Life = DefaultLife
	}
	if o.Grace <= 0 {
		o.Grace = DefaultGrace
	}
	if o.Most <= 0 {
		o.Most = defaultMost
	}
	p := &Proofs{life: o.Life, grace: int64(math.Ceil(o.Grace.Seconds())), most: o.Most, unresolved: o.Unresolved, named: o.Named, records: make(map[key]record), naming: make(map[key]*naming)}
	_, _ = rand.Read(p.salt[:]) // never fails
	return p
}

// knownLocked returns what is remembered of a subject. A record of a time after now was made before the clock was set back, an
// unknown time ago: if it is a denial, it proves nothing about batches; otherwise it expires after its whole life, counted from now.
// mu is held.
func (p *Proofs) knownLocked(k key, now int64) record {
	r, life, late := p.records[k], int64(p.life/time.Second), now+int64(freshDenial/time.Second)
	was := r
	if int64(r.denied) > late {
		r.denied, r.refusal = uint32(now), nil
	}
	if int64(r.named) > late {
		r.named = uint32(now)
	}
	if int64(r.until) > late+life {
		r.until = uint32(now + life)
	}
	if int64(r.unaskable) > late+life {
		r.unaskable = uint32(now + life)
	}
	if r != was {
		p.putLocked(k, r)
	}
	return r
}

// Prove notes what an authorization that was asked for at asked has proved: the application, and the metrics,
// which may be none. It is for the authorize path as well: a proof from there is free. A denial that came after
// asked stands: the answer may be older than what was denied.
func (p *Proofs) Prove(s Scope, a threescale.Application, metrics []string, asked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proveLocked(p.application(s, a), asked)
	for _, m := range metrics {
		p.proveLocked(p.metric(s, m), asked)
	}
}

// proveLocked is Prove for one subject. Lives differ by a tenth, so that what was proved together is not asked
// for together again. mu is held.
func (p *Proofs) proveLocked(k key, asked time.Time) {
	life := int64(p.life / time.Second)
	r := p.knownLocked(k, asked.Unix())
	if int64(r.denied) > asked.Unix() {
		return
	}
	r.until = uint32(asked.Unix() + life - int64(k[0])*life/2560)
	r.unaskable, r.refusal = 0, nil
	p.putLocked(k, r)
}

// cannotAsk notes that authorizations of this service do not take this kind of name.
func (p *Proofs) cannotAsk(k key, now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.records[k]
	r.until, r.unaskable = 0, uint32(now.Add(p.life).Unix())
	p.putLocked(k, r)
}

// Name notes that a report is about to name an application and metrics without a proof: from then on the backend's worker may
// remember that they do not exist, so that they wait before they share a report. ended has to be called once, with whether the
// backend may have taken the report. If it certainly has not, as in an outage, the worker has not seen the names, and the note is
// removed unless another report named them as well.
func (p *Proofs) Name(s Scope, t *threescale.Transaction, now time.Time) (ended func(landed bool)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := []key{p.application(s, t.Application)}
	for _, u := range t.Usage {
		keys = append(keys, p.metric(s, u.Metric))
	}
	keys = slices.DeleteFunc(keys, func(k key) bool { return int64(p.records[k].until) > now.Unix() })
	for _, k := range keys {
		r := p.records[k]
		n := p.naming[k]
		if n == nil {
			n = &naming{before: r.named}
			p.naming[k] = n
		}
		n.reports++
		r.named = uint32(now.Unix())
		p.putLocked(k, r)
	}
	return func(landed bool) { p.namingEnded(keys, landed) }
}

func (p *Proofs) namingEnded(keys []key, landed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range keys {
		n := p.naming[k]
		n.landed = n.landed || landed
		if n.reports--; n.reports > 0 {
			continue
		}
		delete(p.naming, k)
		if r, known := p.records[k]; known && !n.landed {
			r.named = n.before
			p.putLocked(k, r)
		}
	}
}

// putLocked keeps a record; when there are too many, another one goes, of a few the one that is worth least.
// mu is held.
func (p *Proofs) putLocked(k key, r record) {
	p.changed = true
	if _, known := p.records[k]; !known && len(p.records) >= p.most {
		var worst key
		least, looked := uint32(math.MaxUint32), 0
		for other, r := range p.records { // begins anywhere
			if r.until < least {
				worst, least = other, r.until
			}
			if looked++; looked == 8 {
				break
			}
		}
		delete(p.records, worst)
	}
	p.records[k] = r
}

// Len returns how many applications and metrics are remembered.
func (p *Proofs) Len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.records)
}

// wasProven reports whether a subject was proven when it was asked for last, also if that was long ago.
func (p *Proofs) wasProven(k key) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.records[k].until > 0
}
