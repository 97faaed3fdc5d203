package quota

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// limit is one limit of an application's plan. What counts against it is
//
//	base + what was accepted here in this period since the application is followed
//
// where base stands for everything else: what the backend had counted before, and what other reporters reported. Usage that
// is accepted here is added once, when it is accepted; see learn. The application's mutex guards it.
type limit struct {
	metric *Metric
	period threescale.Period
	max    int64
	start  int64 // of the period that base belongs to; 0 for eternity
	base   int64 // may be negative: usage that was accepted before the first answer is part of accepted as well
}

// total returns what counts against the limit now. In a period that has just begun this is what was accepted here.
func (l *limit) total(usages []metricUsage, now *Calendar) int64 {
	if l.start != now.Start[l.period] {
		l.start, l.base = now.Start[l.period], 0
	}
	return max(0, l.base+l.accepted(usages, now))
}

func (l *limit) accepted(usages []metricUsage, now *Calendar) (sum int64) {
	for i := range usages {
		if usages[i].countsFor(l.metric) {
			sum += usages[i].running(l.period, now).accepted
		}
	}
	return sum
}

// sums are the usages of an application, added up for one limit.
type sums struct{ accepted, pending, unresolved, recent int64 }

func (l *limit) sums(usages []metricUsage, now *Calendar, at time.Time) (s sums) {
	for i := range usages {
		u := &usages[i]
		if !u.countsFor(l.metric) {
			continue
		}
		running, moving := u.running(l.period, now), &u.moving[l.period]
		s.accepted += running.accepted
		s.pending += running.pending
		s.unresolved += moving.unresolved
		s.recent += moving.recent(at.Unix())
	}
	return s
}

// learn takes the backend's value of the counter. The true total lies between
//
//	low  = value + pending - unresolved         what was never sent cannot be in value
//	high = value + pending + recently delivered nothing else of ours can be missing from it
//
// and the expected total is moved only as far as it must be to lie there. As long as this daemon is the only reporter it
// always does, so the total stays exact. Usage of other reporters lifts low above it; usage that the backend dropped after its
// 202 lets high sink below it once the lag is over. It returns by how much the total rose: usage of other reporters.
//
// The first answer has no expected total to correct. Then what was pending when it was asked for, according to before, is not
// in value, and everything older is.
func (l *limit) learn(value int64, usages, before []metricUsage, now *Calendar, at time.Time) (others int64) {
	s := l.sums(usages, now, at)
	if l.start == unlearned {
		then := l.sums(before, now, at)
		l.start, l.base = now.Start[l.period], value+then.pending-then.accepted
		return 0
	}
	expected := l.total(usages, now)
	low, high := value+s.pending-s.unresolved, value+s.pending+s.recent
	learned := min(max(expected, low), max(low, high))
	l.base = learned - s.accepted
	return learned - expected
}

// unlearned is the start of a limit whose counter no answer has shown yet.
const unlearned = -1

// carry returns the limit of a metric and period out of old, or a new one.
func carry(old []limit, m *Metric, p threescale.Period) limit {
	for i := range old {
		if old[i].metric == m && old[i].period == p {
			return old[i]
		}
	}
	return limit{metric: m, period: p, start: unlearned}
}

// Report is a limit at the moment of a decision.
type Report struct {
	Metric  *Metric
	Period  threescale.Period
	Max     int64
	Current int64 // what counts against it, this call not included
	Shown   int64 // current_value of the answer
	Start   int64 // of the period, Unix seconds
	End     int64 // exclusive
}

// report returns the limit as it stands.
func (l *limit) report(usages []metricUsage, now *Calendar) Report {
	total := l.total(usages, now)
	return Report{
		Metric: l.metric, Period: l.period, Max: l.max, Current: total, Shown: total,
		Start: now.Start[l.period], End: now.End[l.period],
	}
}
