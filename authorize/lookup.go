package authorize

import (
	"context"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

const (
	// maxLooks bounds how often one call waits for the backend: for a question that another call had begun, for its own, and
	// for a metric that neither of them named. It shares the last question with no other call.
	maxLooks = 4

	// aheadNum and aheadDen are the part of its life after which an answer is asked for again while it
	// is still served.
	aheadNum, aheadDen = 3, 4
)

// finding is what is known about a call at the moment of its decision.
type finding struct {
	entry   *entry            // nil: nothing
	refused *threescale.Error // instead of an entry: what the backend said before it came to one
	source  Source
	now     time.Time
	life    time.Duration // how old knowledge of metrics may be
}

// look returns what is known about a call. It waits for the backend only when that is nothing, or too
// old: for at most four questions of Options.Timeout in a row.
func (a *Authorizer) look(ctx context.Context, c *call) finding {
	arrived := time.Now()
	now := arrived
	for looks := 1; ; looks++ {
		e := a.remembered(c)
		if e != nil && a.fresh(e, c, now, arrived) {
			return a.found(e, c, now, arrived)
		}
		if f, denied := a.deniedMetric(c, now, arrived); denied {
			return f
		}
		if looks > maxLooks {
			break
		}
		fl := a.ask(c, looks == maxLooks, e)
		if fl.wait(c.waiting(ctx)) != nil {
			break
		}
		if fl.refused != nil {
			return finding{refused: fl.refused, source: FromBackend, now: time.Now()}
		}
		now = time.Now()
	}
	return a.stale(c, time.Now())
}

// remembered returns the answer for a call's key, or nil.
func (a *Authorizer) remembered(c *call) *entry {
	if e := a.good.get(c.key); e != nil {
		return e
	}
	if e := a.bad.get(c.key); e != nil {
		return e
	}
	return a.recall(c)
}

// life is how long an answer is served without asking again.
func (a *Authorizer) life(e *entry) time.Duration {
	if e.refuses() {
		return a.options.DenyTTL
	}
	return a.options.TTL
}

// fresh reports whether an answer can be given now without asking: it is within its life, or was asked
// for since the call came in, and so is what is known about the call's metrics.
func (a *Authorizer) fresh(e *entry, c *call, now, arrived time.Time) bool {
	if e.asked.Before(arrived) && (a.options.Mode == None || e.age(now) >= a.life(e)) {
		return false
	}
	if e.refuses() && (e.application == nil || !c.noBody) {
		return true // the backend does not look at metrics
	}
	since := now.Sub(arrived)
	for i := range c.asked {
		x := &c.asked[i]
		if x.Fault != nil || !askable(x.Name) || !c.door.takes(x.Name) {
			continue
		}
		m := x.In(e.application.Service())
		if m == nil || !m.Known(now, max(a.options.TTL, since)) && !m.Unknown(now, max(a.options.DenyTTL, since)) {
			return false
		}
	}
	return true
}

// found makes the finding of a fresh answer, and asks again ahead of time if it grows old.
func (a *Authorizer) found(e *entry, c *call, now, arrived time.Time) finding {
	f := finding{entry: e, source: FromCache, now: now, life: max(a.options.TTL, now.Sub(arrived))}
	if !e.asked.Before(arrived) {
		f.source = FromBackend
		return f
	}
	if e.age(now) < a.life(e)/aheadDen*aheadNum && !a.fading(e, c, now) {
		return f
	}
	a.refresh(c, e)
	return f
}

// fading reports whether what is known about a metric of the call grows old.
func (a *Authorizer) fading(e *entry, c *call, now time.Time) bool {
	if e.refuses() {
		return false
	}
	for i := range c.asked {
		m := c.asked[i].In(e.application.Service())
		if m != nil && m.Exists() && !m.Known(now, a.options.TTL/aheadDen*aheadNum) {
			return true
		}
	}
	return false
}

// refresh asks again without waiting. While the backend is away, or the answer is on its way, it does
// nothing.
func (a *Authorizer) refresh(c *call, seen *entry) {
	if a.breakers.of(c.service().Key()).open(time.Now()) {
		return
	}
	a.counters.ahead.Add(1)
	a.ask(c, false, seen)
}

// deniedMetric finds that an answer denied a metric of the call after it came in: everything the backend
// looks at before was right then.
func (a *Authorizer) deniedMetric(c *call, now, arrived time.Time) (finding, bool) {
	s := a.quota.Service(c.service())
	for i := range c.asked {
		x := &c.asked[i]
		if x.Fault != nil {
			break
		}
		if m := s.Find(x.Name); m != nil && m.DeniedSince(arrived) {
			return finding{refused: threescale.MetricInvalid(x.Name), source: FromBackend, now: now}, true
		}
	}
	return finding{}, false
}

// stale finds what may be served while the backend is away.
func (a *Authorizer) stale(c *call, now time.Time) finding {
	e := a.remembered(c)
	f := finding{source: FromMode, now: now, life: a.options.MaxStale}
	if e == nil || !a.options.Mode.servesStale() || e.age(now) >= max(a.options.MaxStale, a.life(e)) {
		return f
	}
	f.entry, f.source = e, FromStale
	if e.age(now) < a.life(e) {
		f.source = FromCache // it is the metric that could not be asked about
	}
	return f
}
