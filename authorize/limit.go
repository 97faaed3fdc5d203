package authorize

import (
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// limit is one limit of an application's plan. What counts against it is
//
//	base + what was accepted here in this period since the application is followed
//
// where base stands for everything else: what the backend had counted, and what others reported.
// Usage accepted here enters once, at the moment of its acceptance, and is never taken for news when
// the backend shows it later: see learn. Its application's mutex guards it.
type limit struct {
	metric *metric
	period threescale.Period
	max    int64
	start  int64 // of the period that base belongs to; 0 for eternity
	base   int64 // may be negative: usage that was accepted before the first answer is in accepted, too
}

// total is what counts against the limit now. A period that has just begun has nothing but what was
// accepted here.
func (l *limit) total(tallies []metricUsage, now *calendar) int64 {
	if l.start != now.start[l.period] {
		l.start, l.base = now.start[l.period], 0
	}
	return max(0, l.base+l.accepted(tallies, now))
}

func (l *limit) accepted(tallies []metricUsage, now *calendar) (sum int64) {
	for i := range tallies {
		if tallies[i].weighs(l.metric) {
			sum += tallies[i].running(l.period, now).accepted
		}
	}
	return sum
}

// sums are what the usages hold against one limit.
type sums struct{ accepted, pending, unresolved, lately int64 }

func (l *limit) sums(tallies []metricUsage, now *calendar, at time.Time) (s sums) {
	for i := range tallies {
		t := &tallies[i]
		if !t.weighs(l.metric) {
			continue
		}
		running, moving := t.running(l.period, now), &t.moving[l.period]
		s.accepted += running.accepted
		s.pending += running.pending
		s.unresolved += moving.unresolved
		s.lately += moving.lately(at.Unix())
	}
	return s
}

// learn takes the backend's value of the counter. The true total lies between
//
//	low  = value + pending - unresolved           what was never sent cannot be in value
//	high = value + pending + delivered lately   nothing else of ours can be missing from it
//
// and what was expected is moved only as far as it must be to lie there. As long as this daemon is the
// only reporter it always does, so the total stays exact. Others' usage lifts low above it; usage that
// the backend threw away after its 202 lets high sink below it, once the lag is over. It returns by how
// much the total rose: usage of others that came to light.
//
// The first answer has no expectation to correct. Then what was pending when it was asked for, as the
// usages before say, counts as not in value, and everything older as counted.
func (l *limit) learn(value int64, tallies, before []metricUsage, now *calendar, at time.Time) (others int64) {
	s := l.sums(tallies, now, at)
	if l.start == unlearnt {
		then := l.sums(before, now, at)
		l.start, l.base = now.start[l.period], value+then.pending-then.accepted
		return 0
	}
	expected := l.total(tallies, now)
	low, high := value+s.pending-s.unresolved, value+s.pending+s.lately
	learnt := min(max(expected, low), max(low, high))
	l.base = learnt - s.accepted
	return learnt - expected
}

// report is a limit at the moment of a decision.
type report struct {
	metric  *metric
	period  threescale.Period
	max     int64
	current int64 // what counts against it, this call not included
	shown   int64 // current_value of the answer
	start   int64 // of the period, Unix seconds
	end     int64 // exclusive
}

// report returns the limit as it stands.
func (l *limit) report(tallies []metricUsage, now *calendar) report {
	total := l.total(tallies, now)
	return report{
		metric: l.metric, period: l.period, max: l.max, current: total, shown: total,
		start: now.start[l.period], end: now.end[l.period],
	}
}
