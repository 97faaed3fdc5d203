package sender

import (
	"container/heap"
	"time"
)

// schedule orders the lanes by when they may try, so that a wake-up costs what changed and not what exists: a lane is
// looked at when it was touched, and choosing the next one takes O(log lanes). A lane is in one of the five heaps, or in
// none while only a change of its own can let it try. The Sender's mutex guards it.
type schedule struct {
	// Lanes that may try now: configured services first, then the fewest reports in flight, then the longest wait.
	ready, readyPassedOn, readyTroubled laneHeap

	waiting, waitingTroubled laneHeap // may not try before lane.due, the earliest first

	touched  []*lane // changed since they were placed
	looks    uint64  // lanes looked at, for tests
	compared uint64  // comparisons in the heaps, for tests
}

func newSchedule() *schedule {
	c := &schedule{}
	served := func(a, b *lane) bool { return a.rank.before(b.rank) }
	earlier := func(a, b *lane) bool { return a.due.Before(b.due) }
	c.ready, c.readyTroubled = laneHeap{less: served, compared: &c.compared}, laneHeap{less: served, compared: &c.compared}
	c.readyPassedOn = laneHeap{less: served, compared: &c.compared}
	c.waiting, c.waitingTroubled = laneHeap{less: earlier, compared: &c.compared}, laneHeap{less: earlier, compared: &c.compared}
	return c
}

// placement is where a lane stands in the schedule. The order of a heap depends on these copies, so that a lane that
// changes stays in order until it is placed again.
type placement struct {
	heap    *laneHeap // nil: in none
	slot    int       // in the heap
	rank    rank
	due     time.Time
	touched bool // is in schedule.touched
}

// rank orders lanes that may try.
type rank struct {
	passedOn bool
	inFlight int
	picked   uint64
}

func (r rank) before(other rank) bool {
	if r.passedOn != other.passedOn {
		return other.passedOn
	}
	return r.waitedLonger(other)
}

// waitedLonger is the order of lanes that differ in nothing else.
func (r rank) waitedLonger(other rank) bool {
	if r.inFlight != other.inFlight {
		return r.inFlight < other.inFlight
	}
	return r.picked < other.picked
}

// touch notes that a lane has to be placed again.
func (c *schedule) touch(l *lane) {
	if !l.touched {
		l.touched = true
		c.touched = append(c.touched, l)
	}
}

// place puts a lane where it belongs now.
func (c *schedule) place(l *lane, now time.Time) {
	c.remove(l)
	if l.idle() == nil {
		return
	}
	ready, waiting := &c.ready, &c.waiting
	switch {
	case l.trouble.exists():
		ready, waiting = &c.readyTroubled, &c.waitingTroubled
	case l.key.PassedOn():
		ready = &c.readyPassedOn
	}
	switch {
	case now.Before(l.notBefore):
		l.due = l.notBefore
		heap.Push(waiting, l)
	case l.ready(now) != nil:
		l.rank = rank{l.key.PassedOn(), len(l.inFlight), l.picked}
		heap.Push(ready, l)
	}
}

// remove takes a lane out of the heap that it is in, if any.
func (c *schedule) remove(l *lane) {
	if l.heap != nil {
		heap.Remove(l.heap, l.slot)
	}
}

// wakeDue places the lanes whose wait is over.
func (c *schedule) wakeDue(now time.Time) {
	for _, h := range []*laneHeap{&c.waiting, &c.waitingTroubled} {
		for l := h.top(); l != nil && !now.Before(l.due); l = h.top() {
			c.place(l, now)
		}
	}
}

// laneHeap implements heap.Interface over lanes that know their slot.
type laneHeap struct {
	lanes    []*lane
	less     func(a, b *lane) bool
	compared *uint64
}

// top returns the first lane, nil if there is none.
func (h *laneHeap) top() *lane {
	if len(h.lanes) == 0 {
		return nil
	}
	return h.lanes[0]
}

// Len implements heap.Interface.
func (h *laneHeap) Len() int { return len(h.lanes) }

// Less implements heap.Interface.
func (h *laneHeap) Less(i, j int) bool {
	*h.compared++
	return h.less(h.lanes[i], h.lanes[j])
}

// Swap implements heap.Interface.
func (h *laneHeap) Swap(i, j int) {
	h.lanes[i], h.lanes[j] = h.lanes[j], h.lanes[i]
	h.lanes[i].slot, h.lanes[j].slot = i, j
}

// Push implements heap.Interface.
func (h *laneHeap) Push(x any) {
	l := x.(*lane)
	l.heap, l.slot = h, len(h.lanes)
	h.lanes = append(h.lanes, l)
}

// Pop implements heap.Interface.
func (h *laneHeap) Pop() any {
	last := len(h.lanes) - 1
	l := h.lanes[last]
	h.lanes[last] = nil
	h.lanes, l.heap = h.lanes[:last], nil
	return l
}

// refreshLocked brings the lanes that changed up to what the spool has: those that got batches, from a cut or from
// requeued dead letters, and those that the Sender itself touched.
func (s *Sender) refreshLocked(now time.Time) {
	c := s.schedule
	for _, key := range s.spool.Arrived() {
		l, ok := s.lanes[key]
		if !ok {
			l = newLane(key)
			s.lanes[key] = l
			if !key.PassedOn() {
				s.own = append(s.own, l)
			}
		}
		c.touch(l)
	}
	for _, l := range c.touched {
		l.touched = false
		s.refreshLaneLocked(l, now)
	}
	clear(c.touched)
	c.touched = c.touched[:0]
	c.wakeDue(now)
}

// refreshLaneLocked reads the first batches of a lane and places it. Only as many batches are read as could be in
// flight, so that a long outage costs no memory here. A batch leaves inFlight only under the mutex, so what is settled
// meanwhile cannot be picked again. A lane of passed-on credentials that has nothing left is forgotten.
func (s *Sender) refreshLaneLocked(l *lane, now time.Time) {
	s.schedule.looks++
	l.fresh, l.head = nil, s.heads(l.key)
	if len(l.head) > s.share() { // there may be more behind them
		l.fresh = s.sound(s.spool.Newest(l.key, s.share()+1))
	}
	s.schedule.place(l, now)
	if l.key.PassedOn() {
		s.refreshPassedOnLocked(l)
		return
	}
	batches, _ := s.spool.LaneFigures(l.key)
	s.waiting.Add(int64(batches - l.batches))
	l.batches = batches
}

// refreshPassedOnLocked counts a lane of passed-on credentials, or forgets it if it has nothing left. The mutex is held.
func (s *Sender) refreshPassedOnLocked(l *lane) {
	if s.lanes[l.key] != l { // it was forgotten before
		return
	}
	status := s.laneStatusLocked(l)
	if status.Batches > 0 || len(l.head) > 0 || len(l.inFlight) > 0 || l.asking > 0 {
		s.passedOnLanes.count(l, status)
		return
	}
	s.passedOnLanes.remove(l)
	delete(s.lanes, l.key)
}
