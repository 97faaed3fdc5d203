package quota

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// lag is how long the backend's worker may take to count a report after its 202. Within it, a counter that is lower than
// expected is taken for late; after it, for right.
const lag = time.Minute

// maxFuture bounds the periods of one metric that have not begun: timestamps may lie an hour ahead.
const maxFuture = 80

// slot is what was accepted here of one metric in one period, since the application is followed.
type slot struct {
	start    int64 // of the period, Unix seconds; 0 for eternity
	accepted int64 // all of it, less what became a dead letter
	pending  int64 // of that, what has not been delivered
}

// transit is the part of a slot that only answers of the backend are held against.
type transit struct {
	end        int64 // of the period, exclusive
	unresolved int64 // of what is pending, what the backend may have counted: in flight, or its outcome is unknown
	epoch      int64 // the lag interval that delivered belongs to
	delivered  int64 // in it
	before     int64 // delivered in the interval before it
}

// recent is what was delivered during the last lag, or up to twice that: the backend may not have counted it yet.
func (t *transit) recent(now int64) int64 {
	switch now/int64(lag/time.Second) - t.epoch {
	case 0:
		return t.delivered + t.before
	case 1:
		return t.delivered
	}
	return 0
}

func (t *transit) deliver(amount, now int64) {
	epoch := now / int64(lag/time.Second)
	switch epoch - t.epoch {
	case 0:
	case 1:
		t.before, t.delivered = t.delivered, 0
	default:
		t.before, t.delivered = 0, 0
	}
	t.epoch = epoch
	t.delivered += amount
}

// future is the slot of a period that has not begun.
type future struct {
	slot
	transit
}

// metricUsage is what was accepted of one metric of one application. Usage that counts for no ancestor (flat_usage) has a
// metricUsage of its own. The application's mutex guards it.
type metricUsage struct {
	metric *Metric
	flat   bool
	now    [Periods]slot    // of the running periods; apart from moving, since every decision reads them
	moving [Periods]transit // of the same periods
	ahead  []future
}

// countsFor reports whether the usage counts for limits of a metric.
func (u *metricUsage) countsFor(m *Metric) bool {
	return u.metric == m || !u.flat && u.metric.under(m)
}

// slot returns the slot of the period p that the calendar at lies in; nil if that period is over at now. The next call may
// move it.
func (u *metricUsage) slot(p threescale.Period, at, now *Calendar) (*slot, *transit) {
	current := u.running(p, now)
	switch {
	case at.Start[p] == current.start:
		return current, &u.moving[p]
	case at.Start[p] < current.start:
		return nil, nil
	}
	for i := range u.ahead {
		if a := &u.ahead[i]; a.start == at.Start[p] && a.end == at.End[p] {
			return &a.slot, &a.transit
		}
	}
	if len(u.ahead) >= maxFuture {
		return current, &u.moving[p] // it counts earlier than it should, but it counts
	}
	u.ahead = append(u.ahead, future{slot{start: at.Start[p]}, transit{end: at.End[p]}})
	a := &u.ahead[len(u.ahead)-1]
	return &a.slot, &a.transit
}

// maxBehind is how far a calendar may be behind, in seconds, because its call waited while another one turned the period. A
// calendar that is further behind is of a clock that went back.
const maxBehind = 120

// running returns the slot of the running period, after turning it if the last one is over. Where the clock went back, the
// last one has not begun.
func (u *metricUsage) running(p threescale.Period, now *Calendar) *slot {
	if s := &u.now[p]; s.start == now.Start[p] && s.start != 0 || p == threescale.Eternity {
		return s
	}
	return u.turn(p, now)
}

func (u *metricUsage) turn(p threescale.Period, now *Calendar) *slot {
	s := &u.now[p]
	switch {
	case s.start > now.Start[p] && s.start-now.Start[threescale.Minute] <= maxBehind:
		return s
	case s.start > now.Start[p] && len(u.ahead) < maxFuture:
		u.ahead = append(u.ahead, future{*s, u.moving[p]})
	}
	*s, u.moving[p] = slot{start: now.Start[p]}, transit{end: now.End[p]}
	kept := u.ahead[:0]
	for _, a := range u.ahead {
		switch {
		case a.start == s.start && a.end == now.End[p]:
			*s, u.moving[p] = a.slot, a.transit
		case a.end > now.Start[threescale.Minute]:
			kept = append(kept, a)
		}
	}
	u.ahead = kept
	return s
}

// idle reports whether nothing is pending and nothing was delivered recently.
func (u *metricUsage) idle(now int64) bool {
	s, moving := &u.now[threescale.Eternity], &u.moving[threescale.Eternity]
	return s.pending == 0 && moving.unresolved == 0 && moving.recent(now) == 0
}
