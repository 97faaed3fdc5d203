package spool_test

import (
	"fmt"
	"reflect"

	"github.com/reporterd/reporterd/spool"
)

// sealed is what the book knows of one batch.
type sealed struct {
	batch     spool.Batch
	entries   [][]*entry // by transaction
	receipt   string     // of the last attempt that was recorded for certain, or of one before
	attempts  int        // recorded for certain
	tries     int        // calls of Attempt, successful or not
	ambiguous int        // recorded for certain
	doubts    int        // calls of Ambiguous, successful or not
	outcome   *outcome   // a Resolve that failed, or still runs
	forgiven  bool       // damage may have undone what made it: its id may come again
}

// events returns how many events are in it.
func (s *sealed) events() (n int) {
	for _, entries := range s.entries {
		n += len(entries)
	}
	return n
}

// outcome is how a batch ends.
type outcome struct {
	resolution spool.Resolution
	children   []*sealed
}

// cutPlan is one cut: batches and events without usage.
type cutPlan struct {
	upTo    spool.Position
	batches []*sealed
	nothing []*entry
}

// committing notes that Commit is about to be called.
func (b *book) committing(p *cutPlan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.doubtful = append(b.doubtful, p)
}

// commit notes that a cut is durable.
func (b *book) commit(p *cutPlan) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applyCutLocked(p)
}

// applyCutLocked moves the events of a cut, once.
func (b *book) applyCutLocked(p *cutPlan) {
	if p.upTo <= b.committed {
		return // the sender saw it first
	}
	b.committed, b.doubtful = p.upTo, nil
	for _, s := range p.batches {
		b.adoptLocked(s)
	}
	for _, e := range p.nothing {
		e.at = isDelivered
	}
}

// adoptLocked makes a batch live.
func (b *book) adoptLocked(s *sealed) {
	if earlier := b.sealed[s.batch.ID]; earlier != nil && !earlier.forgiven {
		b.violateLocked("batch id %v is used again", s.batch.ID)
	}
	s.forgiven = s.entries[0][0].hit
	b.sealed[s.batch.ID] = s
	b.live[s.batch.ID] = s
	for _, entries := range s.entries {
		for _, e := range entries {
			e.at = inBatch
		}
	}
}

// loaded notes that the spool handed a batch out, and returns what the book knows of it. A batch whose
// Commit still runs is committed with that.
func (b *book) loaded(got *spool.Batch) *sealed {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.live[got.ID] == nil {
		for _, p := range b.doubtful {
			if p.upTo == got.ID.Position {
				b.applyCutLocked(p)
				break
			}
		}
	}
	s := b.live[got.ID]
	if s == nil {
		b.violateLocked("batch %v is live, and was never committed, or is resolved", got.ID)
		return nil
	}
	if !sameBatch(&s.batch, got) && !b.resurrectLocked(got) {
		b.violateLocked("batch %v came back as %+v", got.ID, got)
	}
	return b.live[got.ID]
}

// sameBatch compares what Add was given with what Load returned.
func sameBatch(want, got *spool.Batch) bool {
	return want.ID == got.ID && want.Lane == got.Lane && want.FlatUsage == got.FlatUsage &&
		want.Sealed.Equal(got.Sealed) && want.OldestAccepted.Equal(got.OldestAccepted) &&
		reflect.DeepEqual(want.Transactions, got.Transactions)
}

// resolving notes that Resolve is about to be called.
func (b *book) resolving(s *sealed, o *outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s.outcome = o
}

// resolve notes that the outcome of a batch is durable.
func (b *book) resolve(s *sealed) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.applyOutcomeLocked(s)
}

// applyOutcomeLocked moves the events of a batch to where they ended.
func (b *book) applyOutcomeLocked(s *sealed) {
	delete(b.live, s.batch.ID)
	for _, i := range s.outcome.resolution.Delivered {
		for _, e := range s.entries[i] {
			e.at = isDelivered
		}
	}
	for _, l := range s.outcome.resolution.Dead {
		for _, e := range s.entries[l.Index] {
			e.at = isDead
		}
	}
	for _, child := range s.outcome.children {
		b.adoptLocked(child)
	}
}

// child returns the n-th batch (from 0) that a split of s leaves, with the given transactions.
func (s *sealed) child(n int, indices []int) *sealed {
	c := &sealed{batch: s.batch}
	c.batch.ID, _ = spool.ParseBatchID(fmt.Sprintf("%v.%d", s.batch.ID, n+1))
	c.batch.Transactions = nil
	for _, i := range indices {
		c.batch.Transactions = append(c.batch.Transactions, s.batch.Transactions[i])
		c.entries = append(c.entries, s.entries[i])
	}
	return c
}
