package batcher

import (
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
)

// fillStats says how full a batch is, as a fraction of each cap. It is above 1 for a batch that cannot be divided.
type fillStats struct{ transactions, params, bytes float64 }

func (c caps) fillStats(transactions int, k cost) fillStats {
	return fillStats{
		float64(transactions) / float64(c.transactions), float64(k.params) / float64(c.params), float64(k.bytes) / float64(c.bytes),
	}
}

// sealing contains the histograms of cuts.
type sealing struct{ ages, times, transactions, params, bytes *histogram.Histogram }

func newSealing() sealing {
	parts := []float64{0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1}
	return sealing{
		ages:         histogram.New(0.1, 0.3, 1, 3, 5, 10, 30, 60, 300, 1800, 3600, 86400),
		times:        histogram.New(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10),
		transactions: histogram.New(parts...), params: histogram.New(parts...), bytes: histogram.New(parts...),
	}
}

// cut counts a cut whose oldest event had waited for age, and its batches.
func (s *sealing) cut(age, took time.Duration, fills []fillStats) {
	s.ages.Observe(max(age, 0).Seconds()) // the clock may have been set back
	s.times.Observe(took.Seconds())
	for _, f := range fills {
		s.transactions.Observe(f.transactions)
		s.params.Observe(f.params)
		s.bytes.Observe(f.bytes)
	}
}

// SealingStats describes the cuts since the start. The figures are read one after the other.
type SealingStats struct {
	Ages  histogram.Snapshot // seconds from the acceptance of a window's first event to its cut
	Times histogram.Snapshot // seconds a cut took
	// Fill of the batches, as fractions of the three caps: above 1 only for a batch that cannot be divided.
	Transactions, Params, Bytes histogram.Snapshot
}

// Sealing returns the figures so far. It may be called concurrently.
func (b *Batcher) Sealing() SealingStats {
	s := &b.sealing
	return SealingStats{
		Ages: s.ages.Snapshot(), Times: s.times.Snapshot(),
		Transactions: s.transactions.Snapshot(), Params: s.params.Snapshot(), Bytes: s.bytes.Snapshot(),
	}
}
