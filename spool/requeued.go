package spool

import (
	"strings"

	"github.com/reporterd/reporterd/spool/wal"
)

// pin keeps the segment that records the requeue of a dead letter as long as the letter's file may exist: without the record it
// would be requeued again (I16).
type pin struct {
	letter  string
	segment *wal.Segment
}

// reserveNumber reserves a number for a requeued batch. It is not used again by this process, and not by a later one if a record with it
// was written.
func (x *index) reserveNumber() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.requeues++
	return x.requeues
}

// requeueCount returns how many numbers were reserved.
func (x *index) requeueCount() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.requeues
}

// applyRequeuedLocked makes dead letters a live batch.
func (x *index) applyRequeuedLocked(r *record, s *wal.Segment, base int64) {
	x.requeues = max(x.requeues, uint64(r.entry.id.Position))
	r.entry.locateLocked(s, base)
	x.addLocked(r.entry, nil)
	for letter := range strings.SplitSeq(r.letter, letterSeparator) {
		if id, ok := batchOfLetter(letter + letterSuffix); ok {
			s.Pins.Add(1)
			x.requeuedBy[id] = append(x.requeuedBy[id], pin{letter: strings.Clone(letter), segment: s})
		}
	}
	x.counters.requeued(r.entry.events)
	x.signalLocked()
}

// forgetRequeuedLocked removes the pins of a batch: damage had made the batch live again, it ended once more, and its letters now
// are not the ones that were requeued.
func (x *index) forgetRequeuedLocked(batch BatchID) {
	for _, p := range x.requeuedBy[batch] {
		p.segment.Pins.Add(-1)
	}
	delete(x.requeuedBy, batch)
}

// requeuedLetters returns the letters that were requeued and whose files may still exist.
func (x *index) requeuedLetters() (letters []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, pins := range x.requeuedBy {
		for _, p := range pins {
			letters = append(letters, p.letter)
		}
	}
	return letters
}

// unpin records that the removal of a requeued letter's file is durable.
func (x *index) unpin(letter string) {
	id, _ := batchOfLetter(letter + letterSuffix)
	x.mu.Lock()
	defer x.mu.Unlock()
	kept := x.requeuedBy[id][:0]
	for _, p := range x.requeuedBy[id] {
		if p.letter == letter {
			p.segment.Pins.Add(-1)
			continue
		}
		kept = append(kept, p)
	}
	x.requeuedBy[id] = kept
	if len(kept) == 0 {
		delete(x.requeuedBy, id)
	}
}

// isStale reports whether letters of a batch found at a start are to be removed: the batch is live, or was split from a live one,
// because the record that ended it is missing or damaged.
func (x *index) isStale(batch BatchID) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.live[batch] != nil || x.descendsLocked(batch)
}
