package spool

import (
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
)

// The upper bounds of the buckets: seconds of a sync or a commit, events of a group.
var (
	syncBounds  = []float64{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10}
	groupBounds = []float64{1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000}
)

// Commits counts what became durable in the journal since the start.
type Commits struct {
	Groups uint64
	Events uint64
	Bytes  uint64
	Failed uint64 // groups refused because of a disk failure

	Sizes  histogram.Snapshot // events of a group
	Waits  histogram.Snapshot // seconds from a group's first event until it was durable, or refused
	Fsyncs histogram.Snapshot // seconds of one fdatasync, on all logs
}

// timing counts commits and their syncs. All methods may be called concurrently; a nil one counts nothing.
type timing struct {
	groups, events, bytes, failed atomic.Uint64
	sizes, waits, fsyncs          *histogram.Histogram
}

func newTiming() *timing {
	return &timing{sizes: histogram.New(groupBounds...), waits: histogram.New(syncBounds...), fsyncs: histogram.New(syncBounds...)}
}

// observe counts one fdatasync.
func (t *timing) observe(took time.Duration) {
	if t != nil {
		t.fsyncs.Observe(took.Seconds())
	}
}

// group counts one group of the journal, and how long its events waited.
func (t *timing) group(events uint32, bytes int, waited time.Duration, err error) {
	t.waits.Observe(waited.Seconds())
	if err != nil {
		t.failed.Add(1)
		return
	}
	t.groups.Add(1)
	t.events.Add(uint64(events))
	t.bytes.Add(uint64(bytes))
	t.sizes.Observe(float64(events))
}

// snapshot returns the figures, read one after the other.
func (t *timing) snapshot() Commits {
	return Commits{
		Groups: t.groups.Load(), Events: t.events.Load(), Bytes: t.bytes.Load(), Failed: t.failed.Load(),
		Sizes: t.sizes.Snapshot(), Waits: t.waits.Snapshot(), Fsyncs: t.fsyncs.Snapshot(),
	}
}
