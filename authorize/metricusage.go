package authorize

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// lag is how long the backend's worker may take to count a report after its 202. Within it, a counter
// that is lower than expected is taken for late; after it, for right.
const lag = time.Minute

// maxAhead bounds the slots of one metric for periods that have not begun: usage may lie an hour ahead.
const maxAhead = 80

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
	epoch      int64 // of late: which lag interval
	late       int64 // delivered in it
	before     int64 // delivered in the one before
}

// lately is what was delivered during the last lag, or up to twice that: it may not be counted yet.
func (s *transit) lately(now int64) int64 {
	switch now/int64(lag/time.Second) - s.epoch {
	case 0:
		return s.late + s.before
	case 1:
		return s.late
	}
	return 0
}

func (s *transit) delivered(amount, now int64) {
	epoch := now / int64(lag/time.Second)
	switch epoch - s.epoch {
	case 0:
	case 1:
		s.before, s.late = s.late, 0
	default:
		s.before, s.late = 0, 0
	}
	s.epoch = epoch
	s.late += amount
}

// coming is the slot of a period that has not begun.
type coming struct {
	slot
	transit
}

// metricUsage is what was accepted of one metric of one application. Usage that goes to no ancestor
// (flat_usage) has a metricUsage of its own. Its application's mutex guards it.
type metricUsage struct {
	metric *metric
	flat   bool
	now    [periods]slot    // of the periods that are running; apart, since every decision reads them
	moving [periods]transit // of the same
	ahead  []coming
}

// weighs reports whether the metricUsage counts for limits of a metric.
func (t *metricUsage) weighs(m *metric) bool {
	return t.metric == m || !t.flat && t.metric.under(m)
}

// slot returns the slot of the period p that the calendar at lies in, or nil if it is over already at
// now. It may be moved by the next call.
func (t *metricUsage) slot(p threescale.Period, at, now *calendar) (*slot, *transit) {
	current := t.running(p, now)
	switch {
	case at.start[p] == current.start:
		return current, &t.moving[p]
	case at.start[p] < current.start:
		return nil, nil
	}
	for i := range t.ahead {
		if a := &t.ahead[i]; a.start == at.start[p] && a.end == at.end[p] {
			return &a.slot, &a.transit
		}
	}
	if len(t.ahead) >= maxAhead {
		return current, &t.moving[p] // sooner than it should, but it weighs
	}
	t.ahead = append(t.ahead, coming{slot{start: at.start[p]}, transit{end: at.end[p]}})
	a := &t.ahead[len(t.ahead)-1]
	return &a.slot, &a.transit
}

// late is how far behind a calendar may be, in seconds, whose owner waited while others turned a period. What is
// further behind is a clock that went back.
const late = 120

// running returns the slot of the period that is running now, turned if the last one is over. Where the clock went
// back, the last one has not begun.
func (t *metricUsage) running(p threescale.Period, now *calendar) *slot {
	if s := &t.now[p]; s.start == now.start[p] && s.start != 0 || p == threescale.Eternity {
		return s
	}
	return t.turn(p, now)
}

func (t *metricUsage) turn(p threescale.Period, now *calendar) *slot {
	s := &t.now[p]
	switch {
	case s.start > now.start[p] && s.start-now.start[threescale.Minute] <= late:
		return s
	case s.start > now.start[p] && len(t.ahead) < maxAhead:
		t.ahead = append(t.ahead, coming{*s, t.moving[p]})
	}
	*s, t.moving[p] = slot{start: now.start[p]}, transit{end: now.end[p]}
	kept := t.ahead[:0]
	for _, a := range t.ahead {
		switch {
		case a.start == s.start && a.end == now.end[p]:
			*s, t.moving[p] = a.slot, a.transit
		case a.end > now.start[threescale.Minute]:
			kept = append(kept, a)
		}
	}
	t.ahead = kept
	return s
}

// idle reports whether nothing of the metricUsage is pending or was delivered lately.
func (t *metricUsage) idle(now int64) bool {
	s, moving := &t.now[threescale.Eternity], &t.moving[threescale.Eternity]
	return s.pending == 0 && moving.unresolved == 0 && moving.lately(now) == 0
}
