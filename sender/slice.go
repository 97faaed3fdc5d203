package sender

import (
	"github.com/reporterd/reporterd/proof"
	"github.com/reporterd/reporterd/spool"
)

// slice divides a transaction whose metrics do not stand alike, so that one bad metric does not take the
// usage of its good neighbours with it, and reports whether it did. n is how many transactions the batch
// has.
//
// Nobody knows which of the events that were summed into a transaction had which metric. The part that is
// not proven counts as many as can have had it: each added at least 1. A single event is not divided.
func (x *examination) slice(q *proof.Inquest, i int, t *spool.Transaction, n int, o proof.Opinion) bool {
	if t.Events < 2 || len(t.Usage) < 2 || o.Standing == proof.Proven || o.Standing == proof.Unaskable {
		return false
	}
	opinions := q.Metrics(&t.Transaction)
	proven, pending, waits := spool.Slice{Index: i}, spool.Slice{Index: i}, proof.Opinion{}
	var refused []spool.Slice
	var refusals []proof.Refusal
	left := t.Events - 1
	take := func(s *spool.Slice, m int) {
		s.Metrics = append(s.Metrics, t.Usage[m].Metric)
		events := uint32(min(uint64(left), t.Usage[m].Value))
		s.Events, left = s.Events+events, left-events
	}
	for m, about := range opinions {
		switch about.Standing {
		case proof.Proven:
			proven.Metrics = append(proven.Metrics, t.Usage[m].Metric)
		case proof.Refused:
			refused, refusals = append(refused, spool.Slice{Index: i}), append(refusals, about.Refusal)
			take(&refused[len(refused)-1], m)
		default:
			take(&pending, m)
			if about.Standing > waits.Standing || waits.At.IsZero() || about.At.Before(waits.At) {
				waits = about
			}
		}
	}
	if len(proven.Metrics) == 0 {
		return false
	}
	proven.Events = left + 1
	for _, s := range append(refused, pending) {
		if len(s.Metrics) > 0 && s.Events == 0 {
			return false // fewer events than parts
		}
	}
	x.questions = append(x.questions, o.Questions...)
	x.add(&x.proven, proven, n)
	if len(pending.Metrics) > 0 {
		x.waits(waits, pending, n)
	}
	for k := range refused {
		var at []int
		x.add(&at, refused[k], n)
		x.dead = append(x.dead, buried(at[0], refusals[k]))
	}
	return true
}

// add appends a slice to a list of indices.
func (x *examination) add(to *[]int, s spool.Slice, n int) {
	*to = append(*to, n+len(x.slices))
	x.slices = append(x.slices, s)
}

// waits appends a slice to what has to wait: for an answer, or for time to pass.
func (x *examination) waits(o proof.Opinion, s spool.Slice, n int) {
	if o.Standing == proof.Unknown {
		x.add(&x.unknown, s, n)
		return
	}
	x.add(&x.waiting, s, n)
	if x.at.IsZero() || o.At.Before(x.at) {
		x.at = o.At
	}
}

// buried is the dead letter of what the backend denies knowing.
func buried(i int, r proof.Refusal) spool.DeadLetter {
	return spool.DeadLetter{
		Index: i, Reason: spool.Reason{Code: r.Code, Message: r.Text}, Answer: spool.Answer{Status: r.Status, Code: r.Code},
	}
}
