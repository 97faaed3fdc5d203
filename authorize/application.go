package authorize

import (
	"context"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// application is one application of a service: its plan and limits as last told, and what was accepted
// for it here. All answers for it share it, whatever key they were given for.
type application struct {
	service    *service
	references atomic.Int64 // remembered answers that point here, and questions on their way

	mu       sync.Mutex // guards what follows; held for a decision, never while waiting
	usages   []metricUsage
	limits   []limit // in the order of the backend's answers
	plan     string
	children []threescale.MetricChildren // of the hierarchy extension
	asked    time.Time                   // when the newest answer was asked for; zero: never
	moves    uint64                      // of usage towards the backend and back
	gone     bool                        // forgotten: whoever still holds it must look again

	// Room for what most applications have, next to the rest: a decision about one that was not asked
	// about for a while waits for memory more than for anything else.
	limitRoom [4]limit
	usageRoom [1]metricUsage
}

// usageOfLocked returns the metricUsage of a metric, a new one if need be. The mutex is held.
func (app *application) usageOfLocked(m *metric, flat bool) *metricUsage {
	for i := range app.usages {
		if t := &app.usages[i]; t.metric == m && t.flat == flat {
			return t
		}
	}
	if app.usages == nil {
		app.usages = app.usageRoom[:0]
	}
	m.used.Store(true)
	app.usages = append(app.usages, metricUsage{metric: m, flat: flat})
	return &app.usages[len(app.usages)-1]
}

// change is what happens to usage: how much each figure of a slot grows by one of it.
type change struct {
	accepted, pending, unresolved int64
	delivered                     bool // counts as delivered just now
}

// The ways of usage through the daemon.
var (
	accept   = change{accepted: 1, pending: 1}
	withdraw = change{accepted: -1, pending: -1} // refused by the journal, or a dead letter
	send     = change{unresolved: 1}
	unsend   = change{unresolved: -1} // the backend certainly did not count it
	deliver  = change{pending: -1, unresolved: -1, delivered: true}
	count    = change{pending: -1, delivered: true} // it was not sent: somebody said that it is counted
)

// bookLocked applies a change to usage with a timestamp. The mutex is held.
func (app *application) bookLocked(u threescale.Usage, flat bool, timestamp int64, c change, clk *clock, now int64) {
	cal := clk.at(now)
	at := cal
	if floor(timestamp) != cal.minute {
		at = newCalendar(timestamp)
	}
	for _, inc := range u {
		app.addLocked(app.usageOfLocked(app.service.follow(inc.Metric), flat), int64(min(inc.Value, threescale.MaxValue)), c, at, cal, now)
	}
}

func (app *application) addLocked(t *metricUsage, amount int64, c change, at, cal *calendar, now int64) {
	if c.unresolved != 0 {
		app.moves++
	}
	for p := range threescale.Period(periods) {
		s, moving := t.slot(p, at, cal)
		if s == nil {
			continue
		}
		s.accepted += c.accepted * amount
		s.pending += c.pending * amount
		if c.unresolved != 0 {
			moving.unresolved += c.unresolved * amount
		}
		if c.delivered {
			moving.delivered(amount, now)
		}
	}
}

// idleLocked reports whether the application can be forgotten: no answer points here, and nothing of it is
// missing from the backend's counters. The mutex is held.
func (app *application) idleLocked(now int64) bool {
	if app.references.Load() > 0 {
		return false
	}
	for i := range app.usages {
		if !app.usages[i].idle(now) {
			return false
		}
	}
	return true
}

// learn takes plan, limits and counters out of an answer that was asked for at asked. An older answer
// than the last changes nothing. The reports of a period that is not the one running here are for the
// other side of a turn, and tell nothing of this one.
//
// before are the usages at the time of asking. It returns the most by which a counter rose above what was expected: usage of others.
func (app *application) learn(st *threescale.Status, asked, now time.Time, clk *clock, before []metricUsage) (others int64) {
	app.service.learn(st.Hierarchy, now)
	app.mu.Lock()
	defer app.mu.Unlock()
	if asked.Before(app.asked) {
		return 0
	}
	app.asked = asked
	app.plan, app.children = strings.Clone(st.Plan), st.Hierarchy
	cal := clk.at(now.Unix())
	old := app.limits
	if !slices.EqualFunc(old, st.UsageReports, func(l limit, u threescale.UsageReport) bool {
		return l.metric.name == u.Metric && l.period == u.Period
	}) {
		old = slices.Clone(old)
		app.limits = app.limitRoom[:0]
		for i := range st.UsageReports {
			app.limits = append(app.limits, carry(old, app.service.metric(st.UsageReports[i].Metric), st.UsageReports[i].Period))
		}
	}
	for i := range app.limits {
		l, u := &app.limits[i], &st.UsageReports[i]
		l.metric.seen.Store(now.UnixNano())
		l.max = u.MaxValue
		if u.Period != threescale.Eternity && u.PeriodStart.Unix() != cal.start[u.Period] {
			if l.start == unlearnt {
				l.start, l.base = cal.start[u.Period], 0
			}
			continue
		}
		others = max(others, l.learn(u.CurrentValue, app.usages, before, cal, now))
	}
	return others
}

// maxCalm bounds the wait for reports in flight.
const maxQuiescentWait = 500 * time.Millisecond

// waitQuiescent waits, if nothing was learnt yet, until no report with usage of the application is in flight, or
// ctx ends.
func (app *application) waitQuiescent(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for app.open() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// learned reports whether an answer about the application was learnt.
func (app *application) learned() bool {
	app.mu.Lock()
	defer app.mu.Unlock()
	return !app.asked.IsZero()
}

// open reports whether a first answer would leave open what is counted in it.
func (app *application) open() bool {
	app.mu.Lock()
	defer app.mu.Unlock()
	return app.asked.IsZero() && app.hasUnresolvedLocked()
}

func (app *application) hasUnresolvedLocked() bool {
	for i := range app.usages {
		if app.usages[i].moving[threescale.Eternity].unresolved != 0 {
			return true
		}
	}
	return false
}

// snapshot returns a copy of the usages, and a number for settled.
func (app *application) snapshot() ([]metricUsage, uint64) {
	app.mu.Lock()
	defer app.mu.Unlock()
	copied := slices.Clone(app.usages)
	for i := range copied {
		copied[i].ahead = slices.Clone(copied[i].ahead)
	}
	return copied, app.moves
}

// settled reports whether nothing went to the backend or came back since the snapshot, or whether that
// does not matter because it is not the first answer.
func (app *application) settled(moves uint64) bool {
	app.mu.Lock()
	defer app.mu.Unlock()
	return !app.asked.IsZero() || app.moves == moves && !app.hasUnresolvedLocked()
}

// unlearnt is the start of a limit whose counter nobody has told yet.
const unlearnt = -1

// carry returns the limit that there was, or a new one.
func carry(old []limit, m *metric, p threescale.Period) limit {
	for i := range old {
		if old[i].metric == m && old[i].period == p {
			return old[i]
		}
	}
	return limit{metric: m, period: p, start: unlearnt}
}
