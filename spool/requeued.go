package spool

import (
	"strings"

	"github.com/reporterd/reporterd/spool/wal"
)

// pin keeps the segment whose record says that a dead letter was requeued, as long as the letter's file may
// still be there: without the record it would be requeued again (I16).
type pin struct {
	letter  string
	segment *wal.Segment
}

// number reserves a number for a requeued batch. It is not used again in this life, and once it was seen not
// in another.
func (x *index) number() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.requeues++
	return x.requeues
}

// requeued returns how many numbers were reserved.
func (x *index) requeued() uint64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.requeues
}

// applyRequeued makes a dead letter a live batch. mu is held.
func (x *index) applyRequeued(r *record, s *wal.Segment, base int64) {
	x.requeues = max(x.requeues, uint64(r.entry.id.Position))
	r.entry.locate(s, base)
	x.add(r.entry, nil)
	if id, ok := batchOfLetter(r.letter + letterSuffix); ok {
		s.Pins.Add(1)
		x.requeuedBy[id] = append(x.requeuedBy[id], pin{letter: strings.Clone(r.letter), segment: s})
	}
	x.counters.requeued(r.entry.events)
	x.signal()
}

// forgetRequeued forgets that letters of a batch were requeued: the batch ended once more, after damage had made it
// live again, and what letters it has now are others. mu is held.
func (x *index) forgetRequeued(batch BatchID) {
	for _, p := range x.requeuedBy[batch] {
		p.segment.Pins.Add(-1)
	}
	delete(x.requeuedBy, batch)
}

// requeuedLetters returns the letters that were requeued and whose files may still be there.
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

// unpin notes that a requeued letter's file is gone, durably.
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

// isStale reports whether the letters of a batch found at start are not meant: it is live, or was split from one
// that is, because the record that ended it did not get to the disk or was damaged.
func (x *index) isStale(batch BatchID, _ string) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.live[batch] != nil || x.descendsLocked(batch)
}
