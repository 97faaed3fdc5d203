package sender

import (
	"container/heap"
	"time"
)

// aside holds the batches in probation that are set aside, the one that is due first on top, so that a wake-up costs what is due
// and not what waits. Each is also in the aside of its lane. The Sender's mutex guards it.
type aside struct {
	waiting  []*probation
	looks    uint64 // batches looked at, for tests
	compared uint64 // comparisons in the heap, for tests
}

// top returns the one that is due first, nil if none is set aside.
func (a *aside) top() *probation {
	if len(a.waiting) == 0 {
		return nil
	}
	a.looks++
	return a.waiting[0]
}

// next returns when the first one is due; zero: none is set aside.
func (a *aside) next() time.Time {
	if w := a.top(); w != nil {
		return w.due
	}
	return time.Time{}
}

// put sets a batch aside until due, or changes until when.
func (a *aside) put(w *probation, due time.Time) {
	if w.due.IsZero() {
		w.due = due
		w.lane.aside[w] = struct{}{}
		heap.Push(a, w)
		return
	}
	w.due = due
	heap.Fix(a, w.slot)
}

// take ends put.
func (a *aside) take(w *probation) {
	if w.due.IsZero() {
		return
	}
	heap.Remove(a, w.slot)
	delete(w.lane.aside, w)
	w.due = time.Time{}
}

// Len implements heap.Interface.
func (a *aside) Len() int { return len(a.waiting) }

// Less implements heap.Interface.
func (a *aside) Less(i, j int) bool {
	a.compared++
	return a.waiting[i].due.Before(a.waiting[j].due)
}

// Swap implements heap.Interface.
func (a *aside) Swap(i, j int) {
	a.waiting[i], a.waiting[j] = a.waiting[j], a.waiting[i]
	a.waiting[i].slot, a.waiting[j].slot = i, j
}

// Push implements heap.Interface.
func (a *aside) Push(x any) {
	w := x.(*probation)
	w.slot = len(a.waiting)
	a.waiting = append(a.waiting, w)
}

// Pop implements heap.Interface.
func (a *aside) Pop() any {
	last := len(a.waiting) - 1
	w := a.waiting[last]
	a.waiting[last] = nil
	a.waiting = a.waiting[:last]
	return w
}
