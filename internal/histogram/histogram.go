// Package histogram counts values in buckets. It is cheap enough for the path of incoming usage: one uncontended lock and a
// search through a dozen bounds for each value.
package histogram

import (
	"slices"
	"sync"
)

// Histogram counts values. New creates one. Its methods may be called concurrently; a nil one counts nothing.
type Histogram struct {
	bounds []float64

	mu     sync.Mutex // guards the fields below
	counts []uint64   // values that are at most the bound, and above the previous one
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

// Snapshot is the state of a Histogram at one moment.
type Snapshot struct {
	Bounds []float64 // upper bounds, ascending; shared, never changed
	Counts []uint64  // for each bound, how many values were at most the bound
	Count  uint64    // of all values, including those above the last bound
	Sum    float64
}

// Snapshot returns one consistent snapshot.
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

// Plus adds the counts of another histogram with the same bounds. Either may be empty.
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
