package receipt

import (
	"math"
	"slices"
	"time"
)

// Asks says which applications are to be read now.
func (b *Book[K]) Asks(now time.Time) (mask Mask) {
	for _, w := range b.open {
		if !w.due.After(now) {
			mask |= w.receipt.Mask
		}
	}
	if now.Sub(b.watched) >= keptAgain {
		mask |= b.keeps(now)
	}
	if at := b.rests(now); !at.IsZero() && !at.After(now) {
		mask |= b.wanted
	}
	if at := b.probeDue(); !at.IsZero() && !at.After(now) {
		mask |= 1 << Last
	}
	return mask
}

// keptAgain is how often the places of reports are read that have an end and may still land.
const keptAgain = time.Minute

// keeps are the applications that count reports which have an end and may still land.
func (b *Book[K]) keeps(now time.Time) (mask Mask) {
	for _, m := range b.metrics {
		for number := range m.places {
			if p := &m.places[number]; p.kept(now) {
				mask |= p.closed.mask
			}
		}
	}
	return mask
}

// rests is when the first of the free places can be read for a report that waits for one; zero: none waits, or none is free.
func (b *Book[K]) rests(now time.Time) (at time.Time) {
	if b.wanted == 0 {
		return at
	}
	for _, m := range b.metrics {
		for number := range m.places {
			if p := &m.places[number]; m.takes(number, b.wanted, now) {
				if from := p.quiet; at.IsZero() || from.Before(at) {
					at = from
				}
			}
		}
	}
	return at
}

// Missing is the counter of a metric that an application shows none of.
const Missing = math.MaxUint64

// Seen takes a reading of one application's counters, one for each metric, or Missing, that was asked for at a moment.
func (b *Book[K]) Seen(application int, values []uint64, asked time.Time) {
	strange := asked.Sub(b.began) >= b.rules.settle() // before that it may be a report of before the start
	for n, m := range b.metrics[:min(len(b.metrics), len(values))] {
		if values[n] == Missing {
			m.miss(application)
			continue
		}
		late, moved := m.see(application, values[n], asked, strange)
		if n == 0 && application == Last {
			b.probesMoved(int(digit(moved, probePlace)))
		}
		for _, c := range late {
			b.late = append(b.late, Late[K]{ID: c.id, End: c.end, Mask: c.mask, Digits: c.digits, Resent: c.resent})
		}
	}
	b.watched = later(b.watched, asked)
	b.wanted &^= 1 << application
	for _, w := range b.open {
		if w.absent &^= 1 << application; w.absent == 0 {
			w.absentSince, w.absentTwice = time.Time{}, time.Time{}
		}
	}
	b.pass(asked)
	b.postpone(application, asked)
}

// Late returns what moved after its end, since the last call.
func (b *Book[K]) Late() []Late[K] {
	late := b.late
	b.late = nil
	return late
}

// pass notes which reports are known to be overtaken: a later one is counted.
func (b *Book[K]) pass(asked time.Time) {
	for _, w := range b.open {
		if least, _ := w.bounds(); least >= 1 && !w.unreadable && !w.resent {
			b.newest = later(b.newest, w.sent)
		}
	}
	for _, w := range b.open {
		w.overtake(b.newest, asked, b.rules)
	}
}

// firstWait is how long after an attempt its receipts are read first, before anything is known of this backend, and
// leastWait how long at least.
const (
	firstWait = 200 * time.Millisecond
	leastWait = 20 * time.Millisecond
)

// firstLook is how long after an attempt its receipts are read first: half the median of the delays that were seen, and at
// most Rules.Again. A delay is seen by a reading only: with readings at the median it could not fall again after a worker stood still.
func (b *Book[K]) firstLook() time.Duration {
	return min(max(b.delays.median()/2, leastWait), b.rules.Again)
}

// postpone says when the reports that an application counts are read next.
func (b *Book[K]) postpone(application int, asked time.Time) {
	for _, w := range b.open {
		if !w.receipt.Mask.Has(application) || w.seen().Before(w.due) {
			continue
		}
		if least, _ := w.bounds(); least >= 1 {
			if !w.timed && !w.resent {
				b.delays.add(w.moved.Sub(w.sent))
			}
			w.timed, w.due = true, w.moved.Add(b.rules.Confirm)
			if asked.Before(w.due) {
				continue
			}
		}
		w.wait = min(max(w.wait*3/2, leastWait), b.rules.Again)
		w.due = asked.Add(w.wait)
	}
}

// Next is when Asks has more to say; zero: not before a report is sent, or has an end.
func (b *Book[K]) Next(now time.Time) (next time.Time) {
	consider := func(at time.Time) {
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	for _, w := range b.open {
		consider(w.due)
	}
	consider(b.rests(now))
	consider(b.probeDue())
	if b.keeps(now) != 0 {
		consider(b.watched.Add(keptAgain))
	}
	return next
}

// delays are the latest times from an attempt to the reading that saw it counted.
type delays struct {
	latest [31]time.Duration
	n      int
}

func (d *delays) add(delay time.Duration) {
	d.latest[d.n%len(d.latest)] = delay
	d.n++
}

// median of the latest, or firstWait.
func (d *delays) median() time.Duration {
	n := min(d.n, len(d.latest))
	if n == 0 {
		return firstWait
	}
	sorted := slices.Clone(d.latest[:n])
	slices.Sort(sorted)
	return max(sorted[n/2], leastWait)
}
