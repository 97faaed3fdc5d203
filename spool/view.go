package spool

// Batches returns every live batch, lane by lane, in the order of sealing within each.
func (s *Spool) Batches() []BatchInfo {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	infos := make([]BatchInfo, 0, len(x.live))
	for _, l := range x.busyLanesLocked() {
		for e := l.first; e != nil; e = e.next {
			infos = append(infos, e.info())
		}
	}
	return infos
}

// Live returns how many batches are live.
func (s *Spool) Live() int {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	return len(x.live)
}

// Lanes returns the keys of all lanes that have live batches, the longest waiting first.
func (s *Spool) Lanes() []LaneKey {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	var keys []LaneKey
	for _, l := range x.busyLanesLocked() {
		keys = append(keys, l.key)
	}
	return keys
}

// Arrived returns the keys of the lanes that got a live batch since the last call, unordered. The first call also returns all
// lanes with batches at Open. It is for one reader: the Sender.
func (s *Spool) Arrived() []LaneKey {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	keys := make([]LaneKey, 0, len(x.arrived))
	for key := range x.arrived {
		keys = append(keys, key)
	}
	clear(x.arrived)
	return keys
}

// Lane returns at most limit live batches of a lane, in the order of sealing.
func (s *Spool) Lane(key LaneKey, limit int) []BatchInfo {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lanesMu.Lock()
	l := x.lanes[key]
	x.lanesMu.Unlock()
	if l == nil {
		return nil
	}
	infos := make([]BatchInfo, 0, min(limit, l.count))
	for e := l.first; e != nil && len(infos) < limit; e = e.next {
		infos = append(infos, e.info())
	}
	return infos
}

// LaneFigures returns how many live batches a lane has, and how many events are in them.
func (s *Spool) LaneFigures(key LaneKey) (batches int, events uint64) {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	x.lanesMu.Lock()
	defer x.lanesMu.Unlock()
	if l := x.lanes[key]; l != nil {
		return l.count, l.events
	}
	return 0, 0
}

// Changed returns a channel that is closed at the next change of the set of live batches: take the channel first, then look, then
// wait. Any number of goroutines may wait.
func (s *Spool) Changed() <-chan struct{} {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.changed
}

// Committed returns the position up to which events are sealed in batches, durably.
func (s *Spool) Committed() Position {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.committed
}

// Batch returns the state of a live batch, from the index.
func (s *Spool) Batch(id BatchID) (BatchInfo, bool) {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	e := x.live[id]
	if e == nil {
		return BatchInfo{}, false
	}
	return e.info(), true
}
