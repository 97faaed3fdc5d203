package histogram_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/internal/histogram"
)

func TestValuesCountAtTheirBoundAndAbove(t *testing.T) {
	h := histogram.New(1, 2, 4)
	for _, v := range []float64{0, 1, 1.5, 2, 4, 4.5, 100} {
		h.Observe(v)
	}
	assert.Equal(t, histogram.Snapshot{Bounds: []float64{1, 2, 4}, Counts: []uint64{2, 4, 5}, Count: 7, Sum: 113}, h.Snapshot())
}

func TestNoHistogramCountsNothing(t *testing.T) {
	var h *histogram.Histogram
	h.Observe(1)
	assert.Zero(t, h.Snapshot())
}

func TestNothingIsLostBetweenGoroutines(t *testing.T) {
	h := histogram.New(1)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				h.Observe(1)
			}
		})
	}
	all.Wait()
	assert.Equal(t, histogram.Snapshot{Bounds: []float64{1}, Counts: []uint64{8000}, Count: 8000, Sum: 8000}, h.Snapshot())
}

func BenchmarkObserve(b *testing.B) {
	h := histogram.New(0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10)
	for b.Loop() {
		h.Observe(0.002)
	}
}
