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
	base   int64 // may be negative: what the backend dropped is part of accepted
	seen   int64 // how much of what was delivered in this period the backend's counter is proved to contain, base included
}

// total returns what counts against the limit now. In a period that has just begun this is what was accepted here.
func (l *limit) total(usages []metricUsage, now *Calendar) int64 {
	if l.start != now.Start[l.period] {
		l.start, l.base, l.seen = now.Start[l.period], 0, 0
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

func (l *limit) sums(usages []metricUsage, now *Calendar, at int64) (s sums) {
	for i := range usages {
		u := &usages[i]
		if !u.countsFor(l.metric) {
			continue
		}
		running := u.running(l.period, now)
		s.accepted += running.accepted
		s.pending += running.pending
		s.unresolved += u.unresolvedIn(l.period)
		s.recent += u.recent(at)
	}
	return s
}

// learn takes the backend's value of the counter. What is expected is our own account: everything accepted here, and what the
// counter had shown beside that. The value replaces it only as far as it is proved to contain our usage:
//
//	low  = value + pending - unresolved   what was never sent cannot be in value, so the total is not below this
//	high = value + pending + recent       what was delivered longer ago than lateness was counted or dropped
//
// A value below what was delivered means that the backend's worker is behind, and changes nothing: what was delivered and is
// not seen yet keeps counting (A3). As long as this daemon is the only reporter the expected total lies between the two, so it
// stays exact. Usage of other reporters lifts low above it. While the worker is behind, it is hidden by our own usage that the
// counter lacks, so that as much may be granted beyond the limit; unseen says how much that is. Usage that the backend dropped
// after its 202 counts on until high sinks, which errs on the side of denying.
//
// The first answer has no expected total but what was accepted here. What was pending when it was asked for, according to
// before, is not in value.
func (l *limit) learn(value int64, usages, before []metricUsage, now *Calendar, at time.Time) (others, unseen int64) {
	s := l.sums(usages, now, at.Unix())
	first := l.start == unlearned
	if first {
		then := l.sums(before, now, at.Unix())
		l.start, l.base, l.seen = now.Start[l.period], max(0, value+then.pending-then.accepted), 0
	}
	expected := l.total(usages, now)
	low, high := value+s.pending-s.unresolved, value+s.pending+s.recent
	learned := min(max(expected, low), max(low, high))
	l.base = learned - s.accepted
	l.seen = max(l.seen, min(value-s.unresolved, learned-s.pending))
	if !first {
		others = learned - expected
	}
	return others, l.unseen(s)
}

// unseen is what was delivered and not seen in the backend's counter.
func (l *limit) unseen(s sums) int64 { return max(0, l.base+s.accepted-s.pending-l.seen) }

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
