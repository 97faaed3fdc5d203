package authorize

import (
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Source says where an answer came from.
type Source uint8

// The sources.
const (
	FromCache   Source = iota // remembered, within its TTL
	FromBackend               // asked for by this call, or by another at the same time
	FromStale                 // remembered, beyond its TTL: the backend is away
	FromMode                  // nothing is known: the mode decided
)

var sourceNames = [...]string{"cache", "backend", "stale", "mode"}

// String returns the source's name in answers and metrics.
func (s Source) String() string { return sourceNames[s] }

// denials are the reasons counted apart; everything else is "other".
var denials = [...]string{
	threescale.CodeApplicationKeyInvalid, threescale.CodeApplicationNotActive, threescale.CodeApplicationNotFound,
	threescale.CodeLimitsExceeded, threescale.CodeMetricInvalid, threescale.CodeOAuthNotEnabled,
	threescale.CodeRedirectURIInvalid, threescale.CodeRedirectURLInvalid, threescale.CodeReferrerNotAllowed,
	threescale.CodeServiceNotActive, threescale.CodeServiceTokenInvalid, threescale.CodeUsageValueInvalid,
	threescale.CodeUserKeyInvalid, codeUnavailable, "other",
}

// askBounds are the upper bounds of the buckets of how long the backend took, in seconds.
var askBounds = [...]float64{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5}

type counters struct {
	answers  [len(sourceNames)]atomic.Uint64
	granted  atomic.Uint64
	denied   [len(denials)]atomic.Uint64
	failures atomic.Uint64 // questions without an answer
	ahead    atomic.Uint64 // refreshes begun before they were needed
	reported atomic.Uint64 // authreps whose usage was kept
	refused  atomic.Uint64 // authreps whose usage the journal did not keep
	unbilled atomic.Uint64 // of those, answered with yes all the same
	overshot atomic.Int64  // largest amount by which a counter was found above its limit
	unseen   atomic.Int64  // largest usage of other reporters that one answer showed

	behind atomic.Int64 // largest usage of ours that an answer lacked, since the last scrape

	oldest    atomic.Int64 // nanoseconds: the age of the oldest answer served since Stats was called last
	calls     atomic.Uint64
	callNanos atomic.Int64
	callsIn   [len(askBounds)]atomic.Uint64
}

func (c *counters) asked(took time.Duration) {
	c.calls.Add(1)
	c.callNanos.Add(int64(took))
	for i, bound := range askBounds {
		if took.Seconds() <= bound {
			c.callsIn[i].Add(1)
		}
	}
}

func (c *counters) deny(code string) {
	for i, known := range denials {
		if known == code || i == len(denials)-1 {
			c.denied[i].Add(1)
			return
		}
	}
}

func raise(v *atomic.Int64, to int64) {
	for old := v.Load(); to > old; old = v.Load() {
		if v.CompareAndSwap(old, to) {
			return
		}
	}
}

// Stats are the figures of an Authorizer since it was made.
type Stats struct {
	Answers map[string]uint64 // by source: cache, backend, stale, mode
	Granted uint64
	Denied  map[string]uint64 // by the code of the reason

	Calls        uint64        // of the backend
	CallTime     time.Duration // spent waiting for it, in all
	CallBounds   []float64     // seconds
	CallCounts   []uint64      // calls that took at most the bound
	Failures     uint64        // calls without an answer of the backend's own
	RefreshAhead uint64

	Entries, Denials int   // remembered: answers that may lead to a yes, and answers that never do
	Bytes            int64 // they take, about
	Evicted          uint64
	Applications     int    // followed
	Unresolved       int    // of them, under names that the backend has not explained, as of the last sweep
	Untracked        uint64 // transactions that were not followed, for want of room

	Reported uint64 // authreps whose usage is durable
	Refused  uint64 // authreps whose usage the journal did not take
	Unbilled uint64 // of those, answered with yes, as mode allow says

	// Unseen is the most usage of other reporters that one answer of the backend showed, which bounds
	// what was granted beyond a limit because of them. Overshoot is the most by which a counter was found
	// above its limit, also by reports, which no limit stops.
	Unseen, Overshoot int64

	// Behind is the most delivered usage that a counter of the backend did not contain in an answer since the last call of
	// Scraped, and Forgotten how many applications were forgotten before the backend's counters showed their usage.
	Behind    int64
	Forgotten uint64

	OldestAge time.Duration // of an answer served since the last call of Scraped
}

// Scraped begins a new span for Stats.OldestAge and Stats.Behind. Only the scrape of the metrics calls it.
func (a *Authorizer) Scraped() {
	a.counters.oldest.Store(0)
	a.counters.behind.Store(0)
}

// Stats returns the figures so far. It may be called at any time.
func (a *Authorizer) Stats() Stats {
	c := &a.counters
	s := Stats{
		Answers: make(map[string]uint64, len(sourceNames)), Denied: make(map[string]uint64, len(denials)),
		Granted: c.granted.Load(), Calls: c.calls.Load(), CallTime: time.Duration(c.callNanos.Load()),
		CallBounds: askBounds[:], Failures: c.failures.Load(), RefreshAhead: c.ahead.Load(),
		Entries: int(a.good.size.Load()) + a.restored.size(), Denials: int(a.bad.size.Load()),
		Bytes: a.good.weight.Load() + a.bad.weight.Load(), Evicted: a.good.evicted.Load() + a.bad.evicted.Load(),
		Applications: a.quota.Applications(), Unresolved: a.quota.UnresolvedNames(), Untracked: a.quota.Untracked(),
		Reported: c.reported.Load(), Refused: c.refused.Load(), Unbilled: c.unbilled.Load(),
		Unseen: c.unseen.Load(), Overshoot: c.overshot.Load(), OldestAge: time.Duration(c.oldest.Load()),
		Behind: c.behind.Load(), Forgotten: a.quota.Forgotten(),
	}
	for i, name := range sourceNames {
		s.Answers[name] = c.answers[i].Load()
	}
	for i, code := range denials {
		s.Denied[code] = c.denied[i].Load()
	}
	for i := range c.callsIn {
		s.CallCounts = append(s.CallCounts, c.callsIn[i].Load())
	}
	return s
}
