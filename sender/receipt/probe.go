package receipt

import "time"

// A probe is a report of nothing but a receipt. It is sent where a report is not counted and no later one is under way that
// could show whether the backend's worker runs: of a service with little traffic, or when all places are taken.
// Its place is the last one of the first metric, which is given to no other report. It is not recorded on disk, so none is
// sent before what an earlier process may have sent can have landed.

const (
	probePlace = Places - 1
	probeAgain = time.Minute // nothing was sent for so long
	mostProbes = Places      // under way
)

// Probe gives a receipt to a report of nothing else, if one is to be sent now.
func (b *Book[K]) Probe(now time.Time) (Receipt, bool) {
	if now.Sub(b.began) < b.rules.settle() || len(b.probes) >= mostProbes || b.lastRead().IsZero() {
		return Receipt{}, false
	}
	waits := false
	for _, w := range b.open {
		if now.Sub(w.sent) < probeAgain {
			return Receipt{}, false
		}
		least, _ := w.bounds()
		waits = waits || least == 0 && !w.unreadable && (w.passed.IsZero() || w.links < links && !now.Before(w.linked.Add(b.rules.Rerun)))
	}
	if n := len(b.probes); !waits || n > 0 && now.Sub(b.probes[n-1]) < probeAgain<<min(n, 4) {
		return Receipt{}, false
	}
	b.probes = append(b.probes, now)
	b.probed = now
	return Receipt{Metric: 0, Place: probePlace, Mask: 1 << Last}, true
}

// probesMoved notes that so many probes were counted. Which of those under way is unknown: it counts for the earliest.
func (b *Book[K]) probesMoved(n int) {
	for ; n > 0 && len(b.probes) > 0; n-- {
		b.newest = later(b.newest, b.probes[0])
		b.probes = b.probes[1:]
	}
}

// probeDue is when the counters are read for a probe; zero: none is under way.
func (b *Book[K]) probeDue() time.Time {
	if len(b.probes) == 0 {
		return time.Time{}
	}
	read := b.lastRead()
	return later(b.probed.Add(b.firstLook()), read.Add(min(b.rules.Again, later(read, b.probed).Sub(b.probed)+firstWait)))
}

// lastRead is when the counter that probes move was read last; zero: not since the start.
func (b *Book[K]) lastRead() time.Time {
	if len(b.metrics) == 0 {
		return time.Time{}
	}
	return b.metrics[0].read[Last]
}
