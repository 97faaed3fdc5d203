package spool

import (
	"slices"
	"sync"

	"github.com/reporterd/reporterd/spool/wal"
)

// index knows every live batch: what it is and where its record lies. It is rebuilt from the batch log.
type index struct {
	lanesMu  sync.Mutex        // guards lanes; apart from mu, since records are made and read outside of it
	lanes    map[LaneKey]*lane // those with live batches, and some with staged ones
	counters *counters

	mu         sync.Mutex // guards the fields below, the lists in the lanes, and the entries
	live       map[BatchID]*entry
	staged     []*entry // of the cut that has yet to be committed
	cut        uint64   // which one that is
	committed  Position
	bytes      int64             // of the records of live batches
	requeues   uint64            // how many dead letters were requeued, or tried to be: the newest such batch's number
	requeuedBy map[BatchID][]pin // requeued letters whose files are not known to be gone, by the batch they died in
	changed    chan struct{}
	arrived    map[LaneKey]struct{} // lanes that got a batch since Arrived was called last
}

func newIndex(t *counters) *index {
	return &index{lanes: make(map[LaneKey]*lane), counters: t, live: make(map[BatchID]*entry), requeuedBy: make(map[BatchID][]pin), changed: make(chan struct{}), arrived: make(map[LaneKey]struct{})}
}

// lane returns the lane of a key, which may hold views.
func (x *index) lane(key LaneKey) *lane {
	x.lanesMu.Lock()
	defer x.lanesMu.Unlock()
	if l, ok := x.lanes[key]; ok {
		return l
	}
	key = key.Clone()
	l := &lane{key: key}
	x.lanes[key] = l
	return l
}

// apply books a record that is durable and whose payload begins at offset base of a segment. It is the
// same function in normal running and in recovery: what is in RAM is what the log says.
func (x *index) apply(r *record, s *wal.Segment, base int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch r.kind {
	case recordTotals:
		x.applyTotals(r)
	case recordBatch:
		x.stage(r, s, base)
	case recordCut:
		x.applyCut(r)
	case recordResolved:
		x.applyResolved(r, s, base)
	case recordMoved:
		x.applyMoved(r.entry, s, base)
	case recordRequeued:
		x.applyRequeued(r, s, base)
	case recordRequeues:
		x.requeues = max(x.requeues, r.number)
	case recordLost:
		if e := x.live[r.id]; e != nil {
			x.remove(e)
			x.counters.lost(e.events)
		}
	default:
		if e := x.live[r.id]; e != nil {
			x.applyAttempt(r, e)
		}
	}
}

// applyTotals takes the figures as they stood before the frame. When the log says that more was
// committed than was seen here, the record of that cut is damaged: the batches before it are live.
func (x *index) applyTotals(r *record) {
	x.counters.update(func(c *Counts) {
		pending := c.Pending
		*c = r.counts
		c.Pending = pending
	})
	if r.committed > x.committed {
		x.activate(r.committed)
	}
}

// stage keeps a batch of a cut in progress. It does not exist before the cut's record (I9).
func (x *index) stage(r *record, s *wal.Segment, base int64) {
	if r.cut != x.cut {
		x.unstage()
		x.cut = r.cut
	}
	r.entry.locate(s, base)
	x.staged = append(x.staged, r.entry)
}

// unstage forgets the batches of a cut that was given up.
func (x *index) unstage() {
	for _, e := range x.staged {
		e.segment.Pins.Add(-1)
	}
	x.staged = nil
}

func (x *index) applyCut(r *record) {
	if r.cut != x.cut {
		x.unstage() // a cut without batches
	}
	x.activate(r.upTo)
	x.counters.delivered(r.nothing)
}

// activate makes the staged batches live: the cut up to here is committed.
func (x *index) activate(upTo Position) {
	for _, e := range x.staged {
		if e.id.Position == upTo {
			x.add(e, nil)
		} else {
			e.segment.Pins.Add(-1)
		}
	}
	x.staged, x.committed = nil, upTo
	x.signal()
}

func (x *index) applyAttempt(r *record, e *entry) {
	switch r.kind {
	case recordAttempt:
		e.attempts++
		e.attempted = r.at
		e.open, e.sent = true, false
	case recordAmbiguous:
		e.ambiguous++
		e.lane.setUnresolved(e, e.unresolved+1)
		e.open = false
		x.counters.ambiguous(e.events)
	case recordNote:
		e.attempted = r.at
		e.lane.setUnresolved(e, r.unresolved)
		x.signal()
	case recordAnswered:
		e.open = false
	case recordReceipt:
		e.applyReceipt(r)
	}
}

// applyResolved ends a batch. Its children take its place in the lane.
func (x *index) applyResolved(r *record, s *wal.Segment, base int64) {
	var behind *entry
	x.forgetRequeued(r.id)
	e := x.live[r.id]
	if e != nil {
		behind = e.next
	}
	for _, child := range r.children {
		child.locate(s, base)
		x.add(child, behind)
	}
	if e != nil {
		x.remove(e)
	}
	x.counters.resolved(r.delivered, r.dead)
	x.signal()
}

// applyMoved takes the copy of a live batch for the original, which may be gone.
func (x *index) applyMoved(copied *entry, s *wal.Segment, base int64) {
	copied.locate(s, base)
	e := x.live[copied.id]
	if e == nil {
		x.add(copied, nil)
		return
	}
	e.segment.Pins.Add(-1)
	x.bytes += int64(copied.length) - int64(e.length)
	e.segment, e.offset, e.length = copied.segment, copied.offset, copied.length
}

// locate turns an offset in a payload into one in a segment, which now must stay.
func (e *entry) locate(s *wal.Segment, base int64) {
	e.segment, e.offset = s, base+e.offset
	s.Pins.Add(1)
}

// add links an entry into its lane, before behind or at the end.
func (x *index) add(e, behind *entry) {
	if x.live[e.id] != nil { // the same record twice: damage that happens to hold
		e.segment.Pins.Add(-1)
		return
	}
	l := x.settleLane(e.lane)
	e.lane, e.next = l, behind
	if behind != nil {
		e.prev, behind.prev = behind.prev, e
	} else {
		e.prev, l.last = l.last, e
	}
	if e.prev != nil {
		e.prev.next = e
	} else {
		l.first = e
	}
	l.count, l.events = l.count+1, l.events+e.events
	unresolved := e.unresolved
	e.unresolved = 0
	l.setUnresolved(e, unresolved)
	l.ready.put(e)
	x.live[e.id] = e
	x.bytes += int64(e.length)
	x.arrived[l.key] = struct{}{}
}

// remove takes an entry out of its lane.
func (x *index) remove(e *entry) {
	l := e.lane
	if e.prev != nil {
		e.prev.next = e.next
	} else {
		l.first = e.next
	}
	if e.next != nil {
		e.next.prev = e.prev
	} else {
		l.last = e.prev
	}
	l.count, l.events = l.count-1, l.events-e.events
	l.setUnresolved(e, 0)
	l.ready.take(e)
	delete(x.live, e.id)
	x.bytes -= int64(e.length)
	e.segment.Pins.Add(-1)
	if l.first == nil { // producers with credentials of their own may make any number of lanes
		x.lanesMu.Lock()
		delete(x.lanes, l.key)
		x.lanesMu.Unlock()
	}
	x.signal()
}

// settleLane returns the lane in the map for one that may have been forgotten since it was looked up.
func (x *index) settleLane(l *lane) *lane {
	x.lanesMu.Lock()
	defer x.lanesMu.Unlock()
	if known, ok := x.lanes[l.key]; ok {
		return known
	}
	x.lanes[l.key] = l
	return l
}

// signal wakes everybody who waits for a change.
func (x *index) signal() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// busyLanes returns the lanes that have live batches, the lane that waits longest first. mu is held.
func (x *index) busyLanes() []*lane {
	x.lanesMu.Lock()
	defer x.lanesMu.Unlock()
	var busy []*lane
	for _, l := range x.lanes {
		if l.first != nil {
			busy = append(busy, l)
		}
	}
	slices.SortFunc(busy, func(a, b *lane) int { return a.first.id.Compare(b.first.id) })
	return busy
}
