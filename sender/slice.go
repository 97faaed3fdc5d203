package sender

import (
	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
)

// share is a part of a transaction, and what is known of its metrics.
type share struct {
	spool.Slice
	about proof.Assessment
	most  uint64 // events that can have had one of its metrics: each added at least 1
}

// slice divides a transaction whose metrics do not stand alike, so that one bad metric does not take the
// usage of its good neighbours with it, and reports whether it did. n is how many transactions the batch
// has. A transaction with fewer events than parts is not divided.
func (x *examination) slice(q *proof.Lookup, i int, t *spool.Transaction, n int, o proof.Assessment) bool {
	if t.Events < 2 || len(t.Usage) < 2 || o.State == proof.Proven || o.State == proof.Unaskable {
		return false
	}
	shares := sharesOf(i, t, q.Metrics(&t.Transaction))
	if len(shares) < 2 || len(shares) > int(t.Events) {
		return false
	}
	count(shares, t.Events)
	x.questions = append(x.questions, o.Questions...)
	for _, s := range shares {
		at := n + len(x.slices)
		x.slices = append(x.slices, s.Slice)
		switch s.about.State {
		case proof.Proven:
			x.proven = append(x.proven, at)
		case proof.Refused:
			x.dead = append(x.dead, refusedLetter(at, s.about.Refusal))
		default:
			x.waits(s.about, at)
		}
	}
	return true
}

// sharesOf divides transaction number i: what is proven stays together, and so does what may come to be;
// what is refused is apart, each with its own reason.
func sharesOf(i int, t *spool.Transaction, opinions []proof.Assessment) (shares []share) {
	var proven, pending share
	var refused []share
	for m, about := range opinions {
		to := &pending
		switch about.State {
		case proof.Proven:
			to = &proven
		case proof.Refused:
			refused = append(refused, share{})
			to = &refused[len(refused)-1]
		}
		if len(to.Metrics) == 0 || about.State > to.about.State ||
			about.State == to.about.State && about.At.Before(to.about.At) {
			to.about = about
		}
		to.Metrics = append(to.Metrics, t.Usage[m].Metric)
		to.most += t.Usage[m].Value
	}
	for _, s := range append([]share{proven, pending}, refused...) {
		if len(s.Metrics) > 0 {
			s.Index = i
			shares = append(shares, s)
		}
	}
	return shares
}

// count divides a transaction's events among its shares, of which there are not more than events. Which
// of the events that were summed up had which metric is unknown: each share counts one at least, a later
// one as many as can have had its metrics, and the first one, which is the proven one if there is any,
// the rest.
func count(shares []share, events uint32) {
	left := events - uint32(len(shares))
	for k := len(shares) - 1; k > 0; k-- {
		more := uint32(min(uint64(left), max(shares[k].most, 1)-1))
		shares[k].Events, left = 1+more, left-more
	}
	shares[0].Events = 1 + left
}

// waits notes what has to wait: for an answer, or for time to pass.
func (x *examination) waits(o proof.Assessment, at int) {
	if o.State == proof.Unknown {
		x.unknown = append(x.unknown, at)
		return
	}
	x.waiting = append(x.waiting, at)
	if x.at.IsZero() || o.At.Before(x.at) {
		x.at = o.At
	}
}

// refusedLetter is the dead letter of what the backend denies knowing.
func refusedLetter(i int, r proof.Refusal) spool.DeadLetter {
	return spool.DeadLetter{
		Index: i, Reason: spool.Reason{Code: r.Code, Message: r.Text}, Answer: spool.Answer{Status: r.Status, Code: r.Code},
	}
}
