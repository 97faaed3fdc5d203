package spool

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

// batches is the batch log and its index.
type batches struct {
	log      *wal.Log
	index    *index
	counters *counters

	wake         chan struct{} // holds a token when there is something new for ChangeFeed to read
	booked       atomic.Uint64 // ChangeFeed needs nothing before this sequence number; 0: nothing is kept for it
	kept         atomic.Uint64 // the same for the reader of ChangesFrom
	changesLimit int64         // most bytes of ended batches that are kept for ChangeFeed

	// compaction is held for reading while a record about a batch is being written, and for writing while a live batch is copied
	// forward: the log must not say that a batch ended, and after that contain the batch as live (I10).
	compaction sync.RWMutex

	mu     sync.Mutex // guards the fields below
	groups grouper
	lazy   []*record // to be written with the next group
	closed error
	cut    bool  // a Cut is open
	failed error // of the last commit; nil: it succeeded
}

// logged is a record that is being written.
type logged struct {
	record *record
	offset int // in the payload
}

// append writes records and applies them to the index. data holds them encoded, one behind the other, records[i] from its offset
// on. It returns once they are durable and applied, all or none.
func (b *batches) append(data []byte, records []logged) error {
	led, g, err := b.enter(data, records)
	if err != nil {
		return err
	}
	if led {
		b.commit(g)
	}
	<-g.done // bounded by its leader's commit
	return g.err
}

// write is append for one record without a batch in it.
func (b *batches) write(r *record) error {
	return b.append(r.append(nil), []logged{{record: r}})
}

func (b *batches) enter(data []byte, records []logged) (leads bool, g *group, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed != nil {
		return false, nil, b.closed
	}
	g, leads = b.groups.joinLocked(len(data))
	if leads { // postponed records come first, so that they cannot undo the records that follow
		for _, r := range b.lazy {
			g.records = append(g.records, logged{record: r})
			g.buf = r.append(g.buf)
		}
		b.lazy = nil
	}
	at := len(g.buf) - wal.FrameHead
	for _, r := range records {
		r.offset += at
		if e := r.record.entry; e != nil {
			e.offset += int64(at)
		}
		for _, e := range r.record.children {
			e.offset += int64(at)
		}
		g.records = append(g.records, r)
	}
	g.buf = append(g.buf, data...)
	return leads, g, nil
}

// later postpones a record until the next group.
func (b *batches) later(r *record) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if f := b.groups.forming; f != nil {
		f.records = append(f.records, logged{record: r})
		f.buf = r.append(f.buf)
		return
	}
	b.lazy = append(b.lazy, r)
}

// commit writes a group as its leader. The totals at its head are those of everything before it, since groups are applied in
// their order; any frame is enough to restore them (I11).
func (b *batches) commit(led *group) {
	b.groups.waitTurn(led)
	putTotals(led.buf[wal.FrameHead:wal.FrameHead+totalsBytes:wal.FrameHead+totalsBytes], b.index.position(), b.counters.snapshot())
	count := uint32(len(led.records)) + 1
	if n := b.index.requeueCount(); n > 0 {
		led.buf = (&record{kind: recordRequeues, number: n}).append(led.buf)
		count++
	}
	err := b.log.Commit(led.buf, count, func(at wal.Place) {
		for _, r := range led.records {
			b.index.apply(r.record, at.Segment, at.Offset+wal.FrameHead)
		}
	})
	led.records = nil
	b.mu.Lock()
	b.failed = err
	b.groups.finishLocked(led, err)
	b.mu.Unlock()
	close(led.done)
	select {
	case b.wake <- struct{}{}:
	default: // ChangeFeed has not taken the token before
	}
}

func (x *index) position() Position {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.committed
}

// startEnding marks a live batch as ending, so that only one record ends it. cancelEnding undoes that.
func (b *batches) startEnding(id BatchID) (*entry, error) {
	b.index.mu.Lock()
	defer b.index.mu.Unlock()
	e := b.index.live[id]
	if e == nil || e.ending {
		return nil, fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	e.ending = true
	return e, nil
}

func (b *batches) cancelEnding(e *entry) {
	b.index.mu.Lock()
	defer b.index.mu.Unlock()
	e.ending = false
}

// checkLive returns an error if the batch is not live.
func (b *batches) checkLive(id BatchID) error {
	b.index.mu.Lock()
	defer b.index.mu.Unlock()
	if b.index.live[id] == nil {
		return fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	return nil
}

// Attempt records that a report of the batch is about to be sent. It returns once that is durable.
func (s *Spool) Attempt(id BatchID, at time.Time) error {
	return s.batches.note(&record{kind: recordAttempt, id: id, at: at.UnixNano()})
}

// Ambiguous records that the outcome of the last attempt is unknown: its events are counted as ambiguous, and stay pending. It
// returns once that is durable.
func (s *Spool) Ambiguous(id BatchID) error {
	return s.batches.note(&record{kind: recordAmbiguous, id: id})
}

// Answered records that the last attempt had a definite answer, so that a crash from now on does not count it as ambiguous. It
// returns before that is durable: the record is written with the next one.
func (s *Spool) Answered(id BatchID) error {
	if err := s.batches.answered(id); err != nil {
		return err
	}
	s.batches.later(&record{kind: recordAnswered, id: id})
	return nil
}

// answered ends a batch's attempt before its record is written: a copy of the batch made in between must not show the attempt as
// open.
func (b *batches) answered(id BatchID) error {
	b.index.mu.Lock()
	defer b.index.mu.Unlock()
	e := b.index.live[id]
	if e == nil {
		return fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	e.open = false
	return nil
}

func (b *batches) note(r *record) error {
	b.compaction.RLock()
	defer b.compaction.RUnlock()
	if err := b.checkLive(r.id); err != nil {
		return err
	}
	if err := b.write(r); err != nil {
		return fmt.Errorf("spool: batch %s: %w", r.id, err)
	}
	return nil
}

// close waits for the groups being written and seals the log.
func (b *batches) close() error {
	b.flushLazy()
	b.mu.Lock()
	if b.closed != nil {
		b.mu.Unlock()
		return nil
	}
	b.closed = ErrClosed
	newest := b.groups.newest
	b.mu.Unlock()
	if newest != nil {
		<-newest.done
	}
	if err := b.log.Close(); err != nil {
		return fmt.Errorf("spool: close batch log: %w", err)
	}
	return nil
}

// flushLazy writes the postponed records.
func (b *batches) flushLazy() {
	b.mu.Lock()
	waiting := len(b.lazy) > 0
	b.mu.Unlock()
	if waiting {
		_ = b.append(nil, nil) // on an error the next start counts the attempts as ambiguous, which is correct
	}
}
