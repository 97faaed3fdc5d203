package quota

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Application is one application of a service: its plan and limits as the backend last told them, and what was accepted for
// it here. All remembered answers about it share it, with every key.
type Application struct {
	// A decision about an application that was not asked about for a while waits for memory more than for anything else. So what it
	// reads lies together, in pairs of cache lines each of which has a field that may be read without the mutex; see Prefetch. The
	// limits that most applications have are here, and not in memory of their own.

	service    *Service // never changes
	limitSpace [4]limit

	references atomic.Int32 // remembered answers that point here, and questions on their way
	unresolved bool         // its user key is not explained by the backend; fixed once it is followed

	gone bool       // removed from the Tracker: look it up again; guarded by mu
	mu   sync.Mutex // guards what follows, and limitSpace; held for a decision, never while waiting

	plan   *plan
	usages []metricUsage

	part   ID      // of its ID, without its service; never changes
	limits []limit // in the order of the backend's answers

	asked time.Time // when the newest answer was asked for; zero: never
	moves uint64    // of usage towards the backend and back
	open  bool      // all answers so far came while usage was on its way to the backend or back

	partFingerprint Fingerprint // never changes
	_               [40]byte    // up to a whole number of cache lines
}

// Prefetch has the processor fetch what a decision reads, all of it at the same time: once the mutex is being locked, nothing
// behind it is fetched before it is. It returns a number without meaning, so that the compiler keeps the reads.
//
//go:noinline
func (app *Application) Prefetch() uint64 {
	return app.service.id.low + uint64(app.references.Load()) + app.part.low
}

// Service returns the service of the application.
func (app *Application) Service() *Service { return app.service }

// Release gives a reference of Refer or Find back: without references and without usage that the backend lacks, the
// application can be forgotten.
func (app *Application) Release() { app.references.Add(-1) }

// usageOfLocked returns the metricUsage of a metric, a new one if there is none.
func (app *Application) usageOfLocked(m *Metric, flat bool) *metricUsage {
	for i := range app.usages {
		if u := &app.usages[i]; u.metric == m && u.flat == flat {
			return u
		}
	}
	m.used.Store(true)
	if app.usages == nil {
		app.usages = make([]metricUsage, 0, 1)
	}
	app.usages = append(app.usages, metricUsage{metric: m, flat: flat})
	return &app.usages[len(app.usages)-1]
}

// change is what happens to usage: how much each figure of a slot grows by one of it.
type change struct {
	accepted, pending, unresolved int64
	delivered                     int64 // counts as delivered just now
}

// The ways of usage through the daemon.
var (
	accept   = change{accepted: 1, pending: 1}
	withdraw = change{accepted: -1, pending: -1} // refused by the journal, or a dead letter
	send     = change{unresolved: 1}
	unsend   = change{unresolved: -1} // the backend certainly did not count it
	deliver  = change{pending: -1, unresolved: -1, delivered: 1}
	count    = change{pending: -1, delivered: 1} // it was not sent: an operator said that it is counted

	replay   = change{accepted: 1, delivered: 1} // delivered, and not followed before
	unreplay = change{accepted: -1, delivered: -1}
)

// Withdraw subtracts usage that was reserved and is not kept.
func (app *Application) Withdraw(u threescale.Usage, flat bool, timestamp int64) {
	app.mu.Lock()
	defer app.mu.Unlock()
	app.bookLocked(u, flat, timestamp, withdraw, time.Now().Unix())
}

// bookLocked applies a change to usage with a timestamp.
func (app *Application) bookLocked(u threescale.Usage, flat bool, timestamp int64, c change, now int64) {
	cal := app.service.clock.at(now)
	at := cal
	if minuteOf(timestamp) != cal.Minute {
		at = newCalendar(timestamp)
	}
	for _, inc := range u {
		app.addLocked(app.usageOfLocked(app.service.Follow(inc.Metric), flat), int64(min(inc.Value, threescale.MaxValue)), c, at, cal, now)
	}
}

func (app *Application) addLocked(u *metricUsage, amount int64, c change, at, cal *Calendar, now int64) {
	if c.unresolved != 0 {
		app.moves++
	}
	for p := range threescale.Period(Periods) {
		u.add(p, amount, c, at, cal)
	}
	if c.delivered != 0 {
		u.deliveries.add(c.delivered*amount, now)
	}
}

// idleLocked reports whether nothing that was delivered is missing from the backend's counters.
func (app *Application) idleLocked(now int64) bool {
	return app.seenLocked(now) || !app.recentLocked(now)
}

func (app *Application) pendingLocked() bool {
	for i := range app.usages {
		if app.usages[i].pending() {
			return true
		}
	}
	return false
}

// seenLocked reports whether every limit that the backend told of shows all that was delivered.
func (app *Application) seenLocked(now int64) bool {
	cal := app.service.clock.at(now)
	for i := range app.limits {
		l := &app.limits[i]
		l.total(app.usages, cal) // turns a period that is over
		if l.unseen(l.sums(app.usages, cal, now)) > 0 {
			return false
		}
	}
	return !app.asked.IsZero()
}

// recentLocked reports whether something was delivered that the backend may still have to count.
func (app *Application) recentLocked(now int64) bool {
	for i := range app.usages {
		if app.usages[i].recent(now) != 0 {
			return true
		}
	}
	return false
}

// lastLocked is when something was delivered, or asked, last, in Unix seconds.
func (app *Application) lastLocked() int64 {
	last := app.asked.Unix()
	for i := range app.usages {
		last = max(last, app.usages[i].last)
	}
	return last
}

// Learned is what an answer of the backend showed.
type Learned struct {
	Others int64 // the most by which a counter rose above what was expected: usage of other reporters
	Unseen int64 // the most that a counter lacked of what was delivered: the backend's worker is behind, or dropped it
}

// Learn takes plan, limits and counters out of an answer that was asked for at asked. An answer that is older than the last
// one changes nothing. Usage reports of a period that is not running here belong to the other side of its turn, and say
// nothing about this one.
//
// before is the Snapshot at the time of asking. A first answer that came while usage was in flight leaves open whether that usage is in
// the counters, so it weighs twice until an answer comes while none is: that one counts as the first.
func (app *Application) Learn(st *threescale.Status, asked, now time.Time, before Snapshot) (learned Learned) {
	app.service.learn(st.Hierarchy, now)
	app.mu.Lock()
	defer app.mu.Unlock()
	if asked.Before(app.asked) {
		return Learned{}
	}
	settled := app.moves == before.moves && !app.hasUnresolvedLocked()
	again := app.open && settled
	app.open = !settled && (app.open || app.asked.IsZero())
	app.asked = asked
	app.plan = app.service.plan(st.Plan, st.Hierarchy)
	cal := app.service.clock.at(now.Unix())
	app.carryLimitsLocked(st.UsageReports)
	for i := range app.limits {
		l, u := &app.limits[i], &st.UsageReports[i]
		l.metric.MarkSeen(now)
		l.max = u.MaxValue
		if u.Period != threescale.Eternity && u.PeriodStart.Unix() != cal.Start[u.Period] {
			if l.start == unlearned {
				l.start, l.base = cal.Start[u.Period], 0
			}
			continue
		}
		if again { // the first answer that is as good as a first one should be
			l.start = unlearned
		}
		others, unseen := l.learn(u.CurrentValue, app.usages, before.usages, cal, now)
		learned.Others, learned.Unseen = max(learned.Others, others), max(learned.Unseen, unseen)
	}
	return learned
}

// carryLimitsLocked makes the list of limits that of an answer; limits that were known keep their base.
func (app *Application) carryLimitsLocked(reports []threescale.UsageReport) {
	old := app.limits
	if slices.EqualFunc(old, reports, func(l limit, u threescale.UsageReport) bool {
		return l.metric.name == u.Metric && l.period == u.Period
	}) {
		return
	}
	old = slices.Clone(old)
	app.limits = app.limitSpace[:0]
	for i := range reports {
		app.limits = append(app.limits, carry(old, app.service.Metric(reports[i].Metric), reports[i].Period))
	}
}

// WaitQuiescent waits, if no answer was learned yet, until no report with usage of the application is in flight, or ctx ends.
func (app *Application) WaitQuiescent(ctx context.Context) {
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for app.inFlightAtFirst() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Learned reports whether an answer about the application was learned.
func (app *Application) Learned() bool {
	app.mu.Lock()
	defer app.mu.Unlock()
	return !app.asked.IsZero()
}

// inFlightAtFirst reports whether no answer was learned yet and a report is in flight, so that the first answer would leave
// open whether that report is counted in it.
func (app *Application) inFlightAtFirst() bool {
	app.mu.Lock()
	defer app.mu.Unlock()
	return (app.asked.IsZero() || app.open) && app.hasUnresolvedLocked()
}

func (app *Application) hasUnresolvedLocked() bool {
	for i := range app.usages {
		if app.usages[i].unresolvedIn(threescale.Eternity) != 0 {
			return true
		}
	}
	return false
}

// Snapshot is the usage of an application at the moment when a question about it was asked. The zero Snapshot is that of an
// application that was not followed.
type Snapshot struct {
	usages []metricUsage
	moves  uint64
}

// Snapshot returns a copy of the usages.
func (app *Application) Snapshot() Snapshot {
	app.mu.Lock()
	defer app.mu.Unlock()
	copied := make([]metricUsage, len(app.usages))
	for i := range copied {
		copied[i] = app.usages[i].clone()
	}
	return Snapshot{copied, app.moves}
}

// Settled reports whether no usage went to the backend or came back since the snapshot, or whether that does not matter
// because the answer is not the first.
func (app *Application) Settled(since Snapshot) bool {
	app.mu.Lock()
	defer app.mu.Unlock()
	return !app.asked.IsZero() && !app.open || app.moves == since.moves && !app.hasUnresolvedLocked()
}
