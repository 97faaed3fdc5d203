package spool

import (
	"slices"
	"sync"

	"github.com/reporterd/reporterd/spool/wal"
)

// index contains every live batch: its figures and the place of its record. It is rebuilt from the batch log.
type index struct {
	lanesMu  sync.Mutex        // guards lanes; separate from mu, since records are encoded and parsed without mu
	lanes    map[LaneKey]*lane // those with live batches, and some with staged ones
	counters *counters

	mu         sync.Mutex // guards the fields below, the lists in the lanes, and the entries
	live       map[BatchID]*entry
	staged     []*entry // of the cut that is not yet committed
	cut        uint64   // its number
	committed  Position
	bytes      int64 // of the records of live batches
	passedOn   PassedOn
	requeues   uint64            // how many requeues were tried: the number of the newest batch made of a dead letter
	requeuedBy map[BatchID][]pin // requeued letters whose files may still exist, by the batch that they came from
	changed    chan struct{}
	arrived    map[LaneKey]struct{} // lanes that got a batch since the last call of Arrived
}

func newIndex(t *counters) *index {
	return &index{lanes: make(map[LaneKey]*lane), counters: t, live: make(map[BatchID]*entry), requeuedBy: make(map[BatchID][]pin), changed: make(chan struct{}), arrived: make(map[LaneKey]struct{})}
}

// lane returns the lane of a key, whose strings may be views.
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

// apply applies a record that is durable and whose payload begins at offset base of a segment. Normal running and recovery use
// the same function: the memory is what the log says.
func (x *index) apply(r *record, s *wal.Segment, base int64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch r.kind {
	case recordTotals:
		x.applyTotalsLocked(r)
	case recordBatch:
		x.stageLocked(r, s, base)
	case recordCut:
		x.applyCutLocked(r)
	case recordResolved:
		x.applyResolvedLocked(r, s, base)
	case recordMoved:
		x.applyMovedLocked(r.entry, s, base)
	case recordRequeued:
		x.applyRequeuedLocked(r, s, base)
	case recordRequeues:
		x.requeues = max(x.requeues, r.number)
	case recordLost:
		if e := x.live[r.id]; e != nil {
			x.removeLocked(e)
			x.counters.lost(e.events)
		}
	default:
		if e := x.live[r.id]; e != nil {
			x.applyAttemptLocked(r, e)
		}
	}
}

// applyTotalsLocked takes the figures as they stood before the frame. When they say that more was committed than was read here,
// the record of that cut is damaged, and its batches become live.
func (x *index) applyTotalsLocked(r *record) {
	x.counters.update(func(c *Counts) {
		pending := c.Pending
		*c = r.counts
		c.Pending = pending
	})
	if r.committed > x.committed {
		x.activateLocked(r.committed)
	}
}

// stageLocked keeps a batch of an open cut. It does not exist before the cut's record (I9).
func (x *index) stageLocked(r *record, s *wal.Segment, base int64) {
	if r.cut != x.cut {
		x.unstageLocked()
		x.cut = r.cut
	}
	r.entry.locateLocked(s, base)
	x.staged = append(x.staged, r.entry)
}

// unstageLocked drops the batches of a cut that was aborted.
func (x *index) unstageLocked() {
	for _, e := range x.staged {
		e.segment.Pins.Add(-1)
	}
	x.staged = nil
}

func (x *index) applyCutLocked(r *record) {
	if r.cut != x.cut {
		x.unstageLocked() // a cut without batches
	}
	x.activateLocked(r.upTo)
	x.counters.delivered(r.nothing)
}

// activateLocked makes the staged batches live: the cut up to this position is committed.
func (x *index) activateLocked(upTo Position) {
	for _, e := range x.staged {
		if e.id.Position == upTo {
			x.addLocked(e, nil)
		} else {
			e.segment.Pins.Add(-1)
		}
	}
	x.staged, x.committed = nil, upTo
	x.signalLocked()
}

func (x *index) applyAttemptLocked(r *record, e *entry) {
	switch r.kind {
	case recordAttempt:
		e.attempts++
		e.attempted = r.at
		e.open, e.sent = true, false
	case recordAmbiguous:
		e.ambiguous++
		e.lane.setUnresolvedLocked(e, e.unresolved+1)
		e.open = false
		x.counters.ambiguous(e.events)
	case recordNote:
		e.attempted = r.at
		e.lane.setUnresolvedLocked(e, r.unresolved)
		x.signalLocked()
	case recordAnswered:
		e.open = false
	case recordReceipt:
		e.applyReceiptLocked(r)
	}
}

// applyResolvedLocked ends a batch. Its children take its place in the lane.
func (x *index) applyResolvedLocked(r *record, s *wal.Segment, base int64) {
	var behind *entry
	x.forgetRequeuedLocked(r.id)
	e := x.live[r.id]
	if e != nil {
		behind = e.next
	}
	for _, child := range r.children {
		child.locateLocked(s, base)
		x.addLocked(child, behind)
	}
	if e != nil {
		x.removeLocked(e)
	}
	x.counters.resolved(r.delivered, r.dead)
	x.signalLocked()
}

// applyMovedLocked replaces the place of a live batch by that of its copy, since the original may have been removed.
func (x *index) applyMovedLocked(copied *entry, s *wal.Segment, base int64) {
	copied.locateLocked(s, base)
	e := x.live[copied.id]
	if e == nil {
		x.addLocked(copied, nil)
		return
	}
	e.segment.Pins.Add(-1)
	x.bytes += int64(copied.length) - int64(e.length)
	if e.lane.key.PassedOn() {
		x.passedOn.Bytes += int64(copied.length) - int64(e.length)
	}
	e.segment, e.offset, e.length = copied.segment, copied.offset, copied.length
}

// locateLocked turns an offset in a payload into one in a segment, and pins that segment.
func (e *entry) locateLocked(s *wal.Segment, base int64) {
	e.segment, e.offset = s, base+e.offset
	s.Pins.Add(1)
}

// addLocked links an entry into its lane, before behind or at the end.
func (x *index) addLocked(e, behind *entry) {
	if x.live[e.id] != nil { // the same record twice: damage whose checksum happens to hold
		e.segment.Pins.Add(-1)
		return
	}
	l := x.currentLane(e.lane)
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
	l.setUnresolvedLocked(e, unresolved)
	l.ready.put(e)
	x.live[e.id] = e
	x.bytes += int64(e.length)
	if l.key.PassedOn() {
		x.passedOn.add(l.count == 1, int64(e.length))
	}
	x.arrived[l.key] = struct{}{}
}

// removeLocked takes an entry out of its lane.
func (x *index) removeLocked(e *entry) {
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
	l.setUnresolvedLocked(e, 0)
	l.ready.take(e)
	delete(x.live, e.id)
	x.bytes -= int64(e.length)
	if l.key.PassedOn() {
		x.passedOn.remove(l.count == 0, int64(e.length))
	}
	e.segment.Pins.Add(-1)
	if l.first == nil { // producers with their own credentials may create any number of lanes
		x.lanesMu.Lock()
		delete(x.lanes, l.key)
		x.lanesMu.Unlock()
	}
	x.signalLocked()
}

// currentLane returns the lane in the map with the key of l, which may have been deleted since it was looked up.
func (x *index) currentLane(l *lane) *lane {
	x.lanesMu.Lock()
	defer x.lanesMu.Unlock()
	if known, ok := x.lanes[l.key]; ok {
		return known
	}
	x.lanes[l.key] = l
	return l
}

// signalLocked wakes all goroutines that wait for a change.
func (x *index) signalLocked() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// busyLanesLocked returns the lanes with live batches, the longest waiting first.
func (x *index) busyLanesLocked() []*lane {
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
