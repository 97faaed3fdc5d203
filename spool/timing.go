package spool

import (
	"sync"
	"time"
)

// syncBounds are the upper bounds of the buckets of one fdatasync, in seconds.
var syncBounds = [...]float64{0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10}

// Commits counts what became durable in the journal since start.
type Commits struct {
	Groups  uint64
	Events  uint64
	Bytes   uint64
	Failed  uint64   // groups that were refused because the disk failed
	Syncs   uint64   // fdatasync calls on all logs
	Seconds float64  // spent in them
	Buckets []Bucket // of one fdatasync, cumulative; what is above the last is in Syncs only
}

// Bucket of a histogram: Count calls took at most Seconds.
type Bucket struct {
	Seconds float64
	Count   uint64
}

// timing counts commits and their syncs. All methods may be called concurrently; a nil one counts nothing.
type timing struct {
	mu      sync.Mutex // guards the fields below
	commits Commits
	counts  [len(syncBounds)]uint64
}

// observe counts one fdatasync.
func (t *timing) observe(took time.Duration) {
	if t == nil {
		return
	}
	seconds := took.Seconds()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.commits.Syncs++
	t.commits.Seconds += seconds
	for i, bound := range syncBounds {
		if seconds <= bound {
			t.counts[i]++
			return
		}
	}
}

// group counts one group of the journal.
func (t *timing) group(events uint32, bytes int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.commits.Failed++
		return
	}
	t.commits.Groups++
	t.commits.Events += uint64(events)
	t.commits.Bytes += uint64(bytes)
}

// snapshot returns the figures, the buckets summed up.
func (t *timing) snapshot() Commits {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.commits
	c.Buckets = make([]Bucket, len(syncBounds))
	var sum uint64
	for i, bound := range syncBounds {
		sum += t.counts[i]
		c.Buckets[i] = Bucket{Seconds: bound, Count: sum}
	}
	return c
}
