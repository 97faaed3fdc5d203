package sender

import (
	"container/heap"
	"slices"
	"time"
)

// passedOnLanes are the figures of the lanes with credentials that reporters sent. They are kept as the lanes change, so that
// reading them costs what is named and not what exists: there may be a million of such lanes. The Sender's mutex guards them.
type passedOnLanes struct {
	sums  [len(laneStates)]LaneStatus // by state
	heaps [len(laneStates)]oldestFirst
	looks uint64 // lanes whose figures were read, for tests
}

// laneStates are all states, in the order of passedOnLanes.
var laneStates = [...]State{Flowing, Retrying, Held, Draining, Parked}

// counted is what of a lane is in the figures. The order of a heap depends on this copy, so that a lane that changes stays in
// order until it is counted again.
type counted struct {
	in     bool
	at     int8      // its state, in laneStates
	slot   int32     // in the heap of its state
	oldest time.Time // when its oldest waiting event was accepted; zero: none waits

	batches, questioned, parked int32
	events, parkedEvents        uint64
}

// count takes the figures of a lane as they are now.
func (p *passedOnLanes) count(l *lane, s LaneStatus) {
	p.remove(l)
	at := slices.Index(laneStates[:], s.State)
	l.counted = counted{
		in: true, at: int8(at), oldest: s.Oldest, batches: int32(s.Batches), questioned: int32(s.Questioned), parked: int32(s.Parked),
		events: s.Events, parkedEvents: s.ParkedEvents,
	}
	p.sums[at].add(&l.counted, 1)
	heap.Push(&p.heaps[at], l)
}

// remove takes a lane out of the figures.
func (p *passedOnLanes) remove(l *lane) {
	if c := &l.counted; c.in {
		p.sums[c.at].add(c, -1)
		heap.Remove(&p.heaps[c.at], int(c.slot))
		*c = counted{}
	}
}

// add adds the figures of a lane, or subtracts them.
func (s *LaneStatus) add(c *counted, sign int) {
	s.Lanes += sign
	s.Batches += sign * int(c.batches)
	s.Events += uint64(sign) * c.events
	s.Questioned += sign * int(c.questioned)
	s.Parked += sign * int(c.parked)
	s.ParkedEvents += uint64(sign) * c.parkedEvents
}

// oldest returns at most so many lanes, those with the oldest usage, and the sums over the rest by state.
func (p *passedOnLanes) oldest(most int) (named []*lane, rest []LaneStatus) {
	sums := p.sums
	next := &frontier{heaps: &p.heaps}
	for at := range p.heaps {
		next.reach(at, 0)
	}
	for len(named) < most && next.Len() > 0 {
		at := heap.Pop(next).(place)
		l := p.heaps[at.state][at.slot]
		next.reach(at.state, 2*at.slot+1)
		next.reach(at.state, 2*at.slot+2)
		sums[at.state].add(&l.counted, -1)
		named = append(named, l)
	}
	for _, at := range next.places { // of each state, the oldest of the rest is among them
		sum, oldest := &sums[at.state], next.oldest(at)
		if sum.Oldest.IsZero() || !oldest.IsZero() && oldest.Before(sum.Oldest) {
			sum.Oldest = oldest
		}
	}
	for at := range sums {
		if sum := &sums[at]; sum.Lanes > 0 {
			sum.State, sum.PassedOn = laneStates[at], true
			rest = append(rest, *sum)
		}
	}
	return named, rest
}

// olderThan orders by the oldest waiting event; without one a lane comes last.
func olderThan(a, b time.Time) bool {
	if a.IsZero() || b.IsZero() {
		return !a.IsZero()
	}
	return a.Before(b)
}

// oldestFirst implements heap.Interface over lanes that know their slot, the one with the oldest usage first.
type oldestFirst []*lane

// Len implements heap.Interface.
func (h oldestFirst) Len() int { return len(h) }

// Less implements heap.Interface.
func (h oldestFirst) Less(i, j int) bool { return olderThan(h[i].counted.oldest, h[j].counted.oldest) }

// Swap implements heap.Interface.
func (h oldestFirst) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].counted.slot, h[j].counted.slot = int32(i), int32(j)
}

// Push implements heap.Interface.
func (h *oldestFirst) Push(x any) {
	l := x.(*lane)
	l.counted.slot = int32(len(*h))
	*h = append(*h, l)
}

// Pop implements heap.Interface.
func (h *oldestFirst) Pop() any {
	last := len(*h) - 1
	l := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return l
}

// place is a lane in the heap of a state.
type place struct{ state, slot int }

// frontier implements heap.Interface over the places of several heaps that come next, so that these are read in their common
// order and stay as they are.
type frontier struct {
	heaps  *[len(laneStates)]oldestFirst
	places []place
}

// reach adds a place, if the heap has it.
func (f *frontier) reach(state, slot int) {
	if slot < len(f.heaps[state]) {
		heap.Push(f, place{state, slot})
	}
}

func (f *frontier) oldest(at place) time.Time { return f.heaps[at.state][at.slot].counted.oldest }

// Len implements heap.Interface.
func (f *frontier) Len() int { return len(f.places) }

// Less implements heap.Interface.
func (f *frontier) Less(i, j int) bool {
	return olderThan(f.oldest(f.places[i]), f.oldest(f.places[j]))
}

// Swap implements heap.Interface.
func (f *frontier) Swap(i, j int) { f.places[i], f.places[j] = f.places[j], f.places[i] }

// Push implements heap.Interface.
func (f *frontier) Push(x any) { f.places = append(f.places, x.(place)) }

// Pop implements heap.Interface.
func (f *frontier) Pop() any {
	last := len(f.places) - 1
	at := f.places[last]
	f.places = f.places[:last]
	return at
}
