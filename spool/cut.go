package spool

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"
)

// cutBuffer is how many bytes of batches a cut collects before it writes them.
const cutBuffer = 1 << 20

// errCutDone is the error of a cut that was committed or aborted, or had an error before.
var errCutDone = errors.New("the cut is over")

// Cut turns the events up to a position into batches, all or nothing. It is for one goroutine.
type Cut struct {
	spool   *Spool
	number  uint64 // distinguishes its records from those of other cuts
	from    Position
	upTo    Position
	batches uint64
	events  uint64
	buf     []byte
	records []logged
	done    bool
	held    bool // its batches are held until an operator decides
}

// BeginCut starts a cut of everything behind Committed up to and including upTo, which must be durable.
// One cut at a time; the last one must have been committed or aborted.
func (s *Spool) BeginCut(upTo Position) (*Cut, error) {
	from, durable := s.Committed(), Position(s.journal.log.NextSequence()-1)
	if upTo <= from || upTo > durable {
		return nil, fmt.Errorf("spool: cut up to %d: committed is %d, durable %d", upTo, from, durable)
	}
	b := s.batches
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return nil, fmt.Errorf("spool: cut up to %d: %w", upTo, b.closed)
	}
	if b.cut {
		return nil, fmt.Errorf("spool: cut up to %d: another cut is in progress", upTo)
	}
	b.cut = true
	return &Cut{spool: s, number: b.log.NextSequence(), from: from, upTo: upTo}, nil
}

// Add writes a batch to the batch log and sets its ID, and Sealed and OldestAccepted where they are zero.
// The batch does not exist before Commit. After an error the cut is over, as if aborted.
func (c *Cut) Add(b *Batch) error {
	if c.done {
		return fmt.Errorf("spool: cut up to %d: %w", c.upTo, errCutDone)
	}
	b.ID = BatchID{Position: c.upTo, Index: uint32(c.batches)}
	if b.Sealed.IsZero() {
		b.Sealed = time.Now()
	}
	if b.OldestAccepted.IsZero() {
		b.OldestAccepted = b.Sealed
	}
	e := c.spool.batches.index.describe(b)
	start := len(c.buf)
	c.buf = appendBatch(c.buf, recordBatch, c.number, e, b.Transactions)
	e.offset, e.length = int64(start), uint32(len(c.buf)-start)
	c.records = append(c.records, logged{record: &record{kind: recordBatch, cut: c.number, entry: e}})
	c.batches++
	c.events += e.events
	if len(c.buf) < cutBuffer {
		return nil
	}
	if err := c.flush(); err != nil {
		return fmt.Errorf("spool: seal batch %s: %w", b.ID, err)
	}
	return nil
}

// flush writes the collected batches. Each write is durable by itself, so a disk failure between two of them cannot leave a cut
// with a hole.
func (c *Cut) flush() error {
	err := c.spool.batches.append(c.buf, c.records)
	c.buf, c.records = c.buf[:0], nil
	if err != nil {
		return errors.Join(err, c.Abort())
	}
	return nil
}

// Commit makes the cut and all its batches durable, at one point (I9); nothingToReport of its events had no usage and count as
// delivered. Then the journal before it is released. It refuses a cut whose batches do not contain every event. After an error
// the cut is over, as if aborted, and the same events can be cut again.
func (c *Cut) Commit(nothingToReport uint64) error {
	if c.done {
		return fmt.Errorf("spool: cut up to %d: %w", c.upTo, errCutDone)
	}
	defer func() { _ = c.Abort() }()
	if err := c.checkComplete(nothingToReport); err != nil {
		return err
	}
	if err := c.spool.ids.carry(c.upTo); err != nil {
		return fmt.Errorf("spool: cut up to %d: carry ids: %w", c.upTo, err)
	}
	r := &record{
		kind: recordCut, cut: c.number, upTo: c.upTo, batches: c.batches, events: c.events, nothing: nothingToReport,
	}
	c.records = append(c.records, logged{record: r})
	c.buf = r.append(c.buf)
	c.holdAll()
	if err := c.flush(); err != nil {
		return fmt.Errorf("spool: cut up to %d: %w", c.upTo, err)
	}
	c.spool.releaseJournal(c.from, c.upTo)
	c.spool.tidy()
	return nil
}

// holdAll adds, to the frame that commits the cut, notes that its batches are held.
func (c *Cut) holdAll() {
	for i := range c.batches {
		if !c.held {
			return
		}
		note := &record{kind: recordNote, id: BatchID{Position: c.upTo, Index: uint32(i)}, unresolved: heldBit}
		c.records = append(c.records, logged{record: note, offset: len(c.buf)})
		c.buf = note.append(c.buf)
	}
}

// checkComplete checks the equation of Counts: each event is in the cut exactly once.
func (c *Cut) checkComplete(nothing uint64) error {
	j := c.spool.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	lost, all := j.lostInLocked(c.from+1, c.upTo), uint64(c.upTo-c.from)
	if c.events+nothing+lost != all {
		return fmt.Errorf("spool: cut up to %d accounts for %d in batches, %d with nothing to report, %d lost: there are %d",
			c.upTo, c.events, nothing, lost, all)
	}
	return nil
}

// Abort ends the cut: its batches never existed. After Commit it does nothing, so it can be deferred.
func (c *Cut) Abort() error {
	if c.done {
		return nil
	}
	c.done = true
	x := c.spool.batches.index
	x.mu.Lock()
	x.unstageLocked()
	x.mu.Unlock()
	c.spool.batches.mu.Lock()
	c.spool.batches.cut = false
	c.spool.batches.mu.Unlock()
	return nil
}

// releaseJournal removes from memory what a committed cut contains, and removes the segments that hold nothing else. It is called
// only after a durable cut: a journal segment is never removed before the batches made of it are durable (I9).
func (s *Spool) releaseJournal(from, upTo Position) {
	j := s.journal
	j.mu.Lock()
	total := uint64(j.log.NextSequence()-1) - uint64(from)
	j.size -= int64(float64(j.size) * float64(upTo-from) / float64(max(total, 1)))
	kept := j.gaps[:0]
	for _, g := range j.gaps {
		if g.last > upTo {
			kept = append(kept, gap{max(g.first, upTo+1), g.last})
		}
	}
	j.gaps = kept
	cut, _ := slices.BinarySearchFunc(j.uncut, upTo+1, func(u uncutHash, p Position) int { return cmp.Compare(u.position, p) })
	j.uncut = append([]uncutHash(nil), j.uncut[cut:]...)
	cut, _ = slices.BinarySearchFunc(j.uncutSources, upTo+1, func(u uncutSource, p Position) int { return cmp.Compare(u.position, p) })
	j.uncutSources = append([]uncutSource(nil), j.uncutSources[cut:]...)
	j.mu.Unlock()
	_ = j.drop(upTo) // on an error the next cut retries
}
