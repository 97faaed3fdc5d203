// Package histogram counts values by how large they are, cheaply enough for where usage comes in: one
// uncontended lock and a search through a dozen bounds for each.
package histogram

import (
	"slices"
	"sync"
)

// Histogram counts values. Make one with New. Its methods may be called concurrently; a nil one counts
// nothing.
type Histogram struct {
	bounds []float64

	mu     sync.Mutex // guards what follows
	counts []uint64   // values that are at most the bound, and above the one before
	count  uint64
	sum    float64
}

// New returns an empty Histogram with upper bounds in rising order.
func New(bounds ...float64) *Histogram {
	return &Histogram{bounds: bounds, counts: make([]uint64, len(bounds))}
}

// Observe counts a value.
func (h *Histogram) Observe(value float64) {
	if h == nil {
		return
	}
	i, _ := slices.BinarySearch(h.bounds, value)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.count++
	h.sum += value
	if i < len(h.counts) {
		h.counts[i]++
	}
}

// Snapshot is what was counted until some moment.
type Snapshot struct {
	Bounds []float64 // upper bounds, rising; shared, therefore never changed
	Counts []uint64  // for each bound, how many values were at most that
	Count  uint64    // of all, also those above the last bound
	Sum    float64
}

// Snapshot returns the figures so far, which belong together.
func (h *Histogram) Snapshot() Snapshot {
	if h == nil {
		return Snapshot{}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s := Snapshot{Bounds: h.bounds, Counts: make([]uint64, len(h.counts)), Count: h.count, Sum: h.sum}
	var below uint64
	for i, n := range h.counts {
		below += n
		s.Counts[i] = below
	}
	return s
}

// Plus adds what another histogram with the same bounds counted. Either may be empty.
func (s Snapshot) Plus(o Snapshot) Snapshot {
	if len(s.Counts) != len(o.Counts) {
		if len(s.Counts) == 0 {
			return o
		}
		return s
	}
	sum := Snapshot{Bounds: s.Bounds, Counts: slices.Clone(s.Counts), Count: s.Count + o.Count, Sum: s.Sum + o.Sum}
	for i, n := range o.Counts {
		sum.Counts[i] += n
	}
	return sum
}
