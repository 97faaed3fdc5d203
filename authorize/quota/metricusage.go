package quota

import (
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// lateness is how long after its 202 the backend may still count a report: its worker refuses timestamps older than 24 h by
// its own clock (protocol/backend.md, section 8), timestamps may lie an hour ahead, and clocks may differ by an hour. What is
// not counted by then was dropped.
const lateness = 26 * time.Hour

// maxFuture bounds the periods of one metric that have not begun: timestamps may lie an hour ahead.
const maxFuture = 80

// slot is what was accepted here of one metric in one period, since the application is followed.
type slot struct {
	start    int64 // of the period, Unix seconds; 0 for eternity
	accepted int64 // all of it, less what became a dead letter
	pending  int64 // of that, what has not been delivered
}

// unresolved is, by period, how much of what is pending the backend may have counted: it is in flight, or its outcome is unknown.
// Only answers of the backend are held against it, and most of the time there is none.
type unresolved [Periods]int64

// deliveries are what was delivered of a metric during the last lateness, or up to twice that: the backend may not have counted
// it yet. Beyond that it was counted, or dropped.
type deliveries struct {
	epoch  int64 // the interval of lateness that amount belongs to
	amount int64 // delivered in it
	before int64 // delivered in the interval before it
	last   int64 // Unix seconds of the newest delivery; 0: none
}

func (d *deliveries) recent(now int64) int64 {
	switch n := now/int64(lateness/time.Second) - d.epoch; {
	case n <= 0: // below 0: the clock went back
		return d.amount + d.before
	case n == 1:
		return d.amount
	}
	return 0
}

func (d *deliveries) add(amount, now int64) {
	epoch := now / int64(lateness/time.Second)
	switch n := epoch - d.epoch; {
	case n <= 0:
		epoch = d.epoch
	case n == 1:
		d.before, d.amount = d.amount, 0
	default:
		d.before, d.amount = 0, 0
	}
	d.epoch, d.last = epoch, now
	d.amount += amount
}

// future is the slot of a period that has not begun.
type future struct {
	slot
	end        int64 // of the period, exclusive
	unresolved int64
}

// metricUsage is what was accepted of one metric of one application. Usage that counts for no ancestor (flat_usage) has a
// metricUsage of its own. The application's mutex guards it.
type metricUsage struct {
	metric *Metric
	flat   bool
	now    [Periods]slot // of the running periods
	moving *unresolved   // of the same periods; nil: nothing is
	ahead  []future
	deliveries
}

// unresolvedIn is what is unresolved of the running period.
func (u *metricUsage) unresolvedIn(p threescale.Period) int64 {
	if u.moving == nil {
		return 0
	}
	return u.moving[p]
}

func (u *metricUsage) setUnresolved(p threescale.Period, n int64) {
	switch {
	case u.moving != nil:
		u.moving[p] = n
		if *u.moving == (unresolved{}) {
			u.moving = nil
		}
	case n != 0:
		u.moving = new(unresolved)
		u.moving[p] = n
	}
}

// clone returns a copy that shares nothing that changes.
func (u *metricUsage) clone() metricUsage {
	c := *u
	c.ahead = slices.Clone(u.ahead)
	if u.moving != nil {
		moving := *u.moving
		c.moving = &moving
	}
	return c
}

// countsFor reports whether the usage counts for limits of a metric.
func (u *metricUsage) countsFor(m *Metric) bool {
	return u.metric == m || !u.flat && u.metric.under(m)
}

// add applies a change to the slot of the period p that the calendar at lies in, unless that period is over at now.
func (u *metricUsage) add(p threescale.Period, amount int64, c change, at, now *Calendar) {
	current := u.running(p, now)
	if at.Start[p] < current.start {
		return
	}
	if at.Start[p] > current.start {
		if a := u.future(p, at); a != nil {
			a.accepted += c.accepted * amount
			a.pending += c.pending * amount
			a.unresolved += c.unresolved * amount
			return
		} // else it counts earlier than it should, but it counts
	}
	current.accepted += c.accepted * amount
	current.pending += c.pending * amount
	if c.unresolved != 0 {
		u.setUnresolved(p, u.unresolvedIn(p)+c.unresolved*amount)
	}
}

// future returns the slot of a period that has not begun, nil when there are too many. The next call may move it.
func (u *metricUsage) future(p threescale.Period, at *Calendar) *future {
	for i := range u.ahead {
		if a := &u.ahead[i]; a.start == at.Start[p] && a.end == at.End[p] {
			return a
		}
	}
	if len(u.ahead) >= maxFuture {
		return nil
	}
	u.ahead = append(u.ahead, future{slot: slot{start: at.Start[p]}, end: at.End[p]})
	return &u.ahead[len(u.ahead)-1]
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
		u.ahead = append(u.ahead, future{*s, newCalendar(s.start).End[p], u.unresolvedIn(p)})
	}
	*s = slot{start: now.Start[p]}
	u.setUnresolved(p, 0)
	kept := u.ahead[:0]
	for _, a := range u.ahead {
		switch {
		case a.start == s.start && a.end == now.End[p]:
			*s = a.slot
			u.setUnresolved(p, a.unresolved)
		case a.end > now.Start[threescale.Minute]:
			kept = append(kept, a)
		}
	}
	u.ahead = kept
	return s
}

// pending reports whether something is not delivered.
func (u *metricUsage) pending() bool {
	return u.now[threescale.Eternity].pending != 0 || u.unresolvedIn(threescale.Eternity) != 0
}
