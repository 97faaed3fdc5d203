package batcher

import (
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
)

// fillStats is how full a batch is, as a part of each cap. What cannot be divided may be above 1.
type fillStats struct{ transactions, params, bytes float64 }

func (c caps) fillStats(transactions int, k cost) fillStats {
	return fillStats{
		float64(transactions) / float64(c.transactions), float64(k.params) / float64(c.params), float64(k.bytes) / float64(c.bytes),
	}
}

// sealing is what cuts were like.
type sealing struct{ ages, times, transactions, params, bytes *histogram.Histogram }

func newSealing() sealing {
	parts := []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1}
	return sealing{
		ages:         histogram.New(0.1, 0.3, 1, 3, 5, 10, 30, 60, 300, 1800, 3600, 86400),
		times:        histogram.New(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
		transactions: histogram.New(parts...), params: histogram.New(parts...), bytes: histogram.New(parts...),
	}
}

// cut counts a cut of events that had waited for at most age, and the batches it made.
func (s *sealing) cut(age, took time.Duration, fills []fillStats) {
	s.ages.Observe(max(age, 0).Seconds()) // the clock may have been set back since
	s.times.Observe(took.Seconds())
	for _, f := range fills {
		s.transactions.Observe(f.transactions)
		s.params.Observe(f.params)
		s.bytes.Observe(f.bytes)
	}
}

// SealingStats is what the cuts since the start were like. The figures are read one after the other.
type SealingStats struct {
	Ages  histogram.Snapshot // seconds from the acceptance of a window's first event to its cut
	Times histogram.Snapshot // seconds a cut took
	// How full the batches were, as parts of the three caps: above 1 only what cannot be divided.
	Transactions, Params, Bytes histogram.Snapshot
}

// Sealing returns the figures so far. It may be called at any time.
func (b *Batcher) Sealing() SealingStats {
	s := &b.sealing
	return SealingStats{
		Ages: s.ages.Snapshot(), Times: s.times.Snapshot(),
		Transactions: s.transactions.Snapshot(), Params: s.params.Snapshot(), Bytes: s.bytes.Snapshot(),
	}
}
