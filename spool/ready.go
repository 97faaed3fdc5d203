package spool

import (
	"cmp"
	"container/heap"
	"slices"
	"time"
)

// ready contains a lane's batches that may be sent, as a heap: the batch with the oldest transaction comes first, since it is the
// first to become too old for the backend. The index's mu guards it.
type ready struct{ entries []*entry }

// deadline orders batches: the timestamp of the oldest transaction, or the time of acceptance if it has none.
func (e *entry) deadline() int64 {
	if e.oldest != 0 {
		return e.oldest
	}
	return e.accepted / int64(time.Second)
}

func earlier(a, b *entry) int {
	return cmp.Or(cmp.Compare(a.deadline(), b.deadline()), a.id.Compare(b.id))
}

// Len implements heap.Interface.
func (r *ready) Len() int { return len(r.entries) }

// Less implements heap.Interface.
func (r *ready) Less(i, j int) bool { return earlier(r.entries[i], r.entries[j]) < 0 }

// Swap implements heap.Interface.
func (r *ready) Swap(i, j int) {
	e := r.entries
	e[i], e[j] = e[j], e[i]
	e[i].queued, e[j].queued = int32(i)+1, int32(j)+1
}

// Push implements heap.Interface.
func (r *ready) Push(x any) {
	e := x.(*entry)
	e.queued = int32(len(r.entries)) + 1
	r.entries = append(r.entries, e)
}

// Pop implements heap.Interface.
func (r *ready) Pop() any {
	last := len(r.entries) - 1
	e := r.entries[last]
	r.entries[last] = nil
	r.entries, e.queued = r.entries[:last], 0
	return e
}

// put makes a batch ready, unless it is.
func (r *ready) put(e *entry) {
	if e.queued == 0 {
		heap.Push(r, e)
	}
}

// take sets a batch aside, unless it is.
func (r *ready) take(e *entry) {
	if e.queued > 0 {
		heap.Remove(r, int(e.queued)-1)
	}
}

// first returns at most limit batches, the earliest deadline first, without taking them. It visits at most twice as many as it
// returns: no batch has an earlier deadline than its parent in the heap.
func (r *ready) first(limit int) []*entry {
	found := make([]*entry, 0, min(limit, len(r.entries)))
	var next []*entry // batches whose parent is in found, in order
	if len(r.entries) > 0 {
		next = append(next, r.entries[0])
	}
	for len(next) > 0 && len(found) < limit {
		e := next[0]
		next = next[1:]
		found = append(found, e)
		below := 2 * (int(e.queued) - 1)
		for _, child := range []int{below + 1, below + 2} {
			if child < len(r.entries) {
				at, _ := slices.BinarySearchFunc(next, r.entries[child], earlier)
				next = slices.Insert(next, at, r.entries[child])
			}
		}
	}
	return found
}

// newestLooked is how many of a lane's last batches Newest examines.
const newestLooked = 64

// newestLocked returns at most limit ready batches, the last sealed first.
func (l *lane) newestLocked(limit int) []*entry {
	var found []*entry
	for e, n := l.last, 0; e != nil && len(found) < limit && n < newestLooked; e, n = e.prev, n+1 {
		if e.queued > 0 {
			found = append(found, e)
		}
	}
	return found
}

// setUnresolvedLocked sets how many attempts of a batch are unresolved, and heldBit if it is held.
func (l *lane) setUnresolvedLocked(e *entry, attempts uint32) {
	switch was, is := e.unresolved&heldBit != 0, attempts&heldBit != 0; {
	case is && !was:
		l.held++
		l.heldEvents += e.events
	case was && !is:
		l.held--
		l.heldEvents -= e.events
	}
	switch {
	case e.unresolved == 0 && attempts > 0:
		l.unresolved++
		l.unresolvedEvents += e.events
	case e.unresolved > 0 && attempts == 0:
		l.unresolved--
		l.unresolvedEvents -= e.events
	}
	e.unresolved = attempts
}

// Due returns at most limit live batches of a lane that are not set aside, the one whose oldest
// transaction is the oldest first.
func (s *Spool) Due(key LaneKey, limit int) []BatchInfo {
	return s.laneBatches(key, func(l *lane) []*entry { return l.ready.first(limit) })
}

// Newest returns at most limit of the last batches of a lane that are not set aside, the last one first.
func (s *Spool) Newest(key LaneKey, limit int) []BatchInfo {
	return s.laneBatches(key, func(l *lane) []*entry { return l.newestLocked(limit) })
}

func (s *Spool) laneBatches(key LaneKey, choose func(*lane) []*entry) []BatchInfo {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lanesMu.Lock()
	l := x.lanes[key]
	x.lanesMu.Unlock()
	if l == nil {
		return nil
	}
	chosen := choose(l)
	infos := make([]BatchInfo, len(chosen))
	for i, e := range chosen {
		infos[i] = e.info()
	}
	return infos
}

// SetAside removes a live batch from Due and Newest until Recall, or until the spool is opened again. Nothing is written.
func (s *Spool) SetAside(id BatchID) { s.updateReady(id, (*ready).take) }

// Recall ends SetAside. Neither wakes those who wait on Changed.
func (s *Spool) Recall(id BatchID) { s.updateReady(id, (*ready).put) }

func (s *Spool) updateReady(id BatchID, do func(*ready, *entry)) {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	if e := x.live[id]; e != nil {
		do(&e.lane.ready, e)
	}
}

// ClearUnresolved records that the unresolved attempts of a batch no longer keep it from being sent, and that it is not held. It
// returns once that is durable.
func (s *Spool) ClearUnresolved(id BatchID) error {
	x := s.batches.index
	x.mu.Lock()
	e := x.live[id]
	r := &record{kind: recordNote, id: id}
	if e != nil {
		r.at = e.attempted
	}
	x.mu.Unlock()
	return s.batches.note(r)
}

// LaneUnresolved returns how many live batches of a lane have unresolved attempts or are held, and how many events are in them.
func (s *Spool) LaneUnresolved(key LaneKey) (batches int, events uint64) {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lanesMu.Lock()
	defer x.lanesMu.Unlock()
	if l := x.lanes[key]; l != nil {
		return l.unresolved, l.unresolvedEvents
	}
	return 0, 0
}

// LaneHeld returns how many live batches of a lane are held, and how many events are in them.
func (s *Spool) LaneHeld(key LaneKey) (batches int, events uint64) {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lanesMu.Lock()
	defer x.lanesMu.Unlock()
	if l := x.lanes[key]; l != nil {
		return l.held, l.heldEvents
	}
	return 0, 0
}

// Held returns at most limit held live batches behind a batch, in the order of their ids.
func (s *Spool) Held(behind BatchID, limit int) []BatchInfo {
	return s.selected(behind, limit, func(e *entry) bool { return e.unresolved&heldBit != 0 })
}

// Unresolved returns at most limit live batches behind a batch that have unresolved attempts or are held, in the order of their
// ids.
func (s *Spool) Unresolved(behind BatchID, limit int) []BatchInfo {
	return s.selected(behind, limit, func(e *entry) bool { return e.unresolved > 0 })
}

func (s *Spool) selected(behind BatchID, limit int, is func(*entry) bool) []BatchInfo {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	var found []BatchInfo
	for _, e := range x.live {
		if is(e) && e.id.Compare(behind) > 0 {
			found = append(found, e.info())
		}
	}
	slices.SortFunc(found, func(a, b BatchInfo) int { return a.ID.Compare(b.ID) })
	return found[:min(limit, len(found))]
}
