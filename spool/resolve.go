package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

// Resolution says how each transaction of a batch ends: each index is in exactly one of Delivered, Dead and Children.
type Resolution struct {
	// Slices divide transactions by metric. The nth slice has the index (transactions of the batch) + n, and the divided
	// transaction's own index is not used.
	Slices    []Slice
	Delivered []int        // accepted by the backend
	Dead      []DeadLetter // Index, Reason and Answer are read
	Children  [][]int      // each becomes a live batch of its own; at most 15, 16 splits deep

	// Restamped are those of Delivered that were sent with the timestamp At instead of their own.
	Restamped []int
	At        time.Time
}

// Slice is a part of a transaction: some of its metrics, and how many of its events count for it. Together, the slices of a
// transaction have each of its metrics once, and all of its events.
type Slice struct {
	Index   int
	Metrics []string
	Events  uint32
}

// Apply appends the slices to the batch's transactions. The error says which slices are incomplete.
func (r *Resolution) Apply(b *Batch) error {
	metrics, events := make(map[int]int), make(map[int]uint32)
	for _, s := range r.Slices {
		if s.Index < 0 || s.Index >= len(b.Transactions) || len(s.Metrics) == 0 || s.Events == 0 {
			return fmt.Errorf("spool: resolve batch %s: a slice has an unknown index, no metrics or no events", b.ID)
		}
		t := b.Transactions[s.Index]
		t.Events, t.Usage = s.Events, nil
		for _, u := range b.Transactions[s.Index].Usage {
			if slices.Contains(s.Metrics, u.Metric) {
				t.Usage = append(t.Usage, u)
			}
		}
		metrics[s.Index] += len(t.Usage)
		events[s.Index] += s.Events
		b.Transactions = append(b.Transactions, t)
	}
	for i, n := range metrics {
		if n != len(b.Transactions[i].Usage) || events[i] != b.Transactions[i].Events {
			return fmt.Errorf("spool: resolve batch %s: the slices of transaction %d do not add up to it", b.ID, i)
		}
	}
	return nil
}

// Resolve ends a batch in one atomic record. It returns once that is durable; the dead letter files are durable before it.
// Calling it again after an error or a crash has the same effect. If the batch cannot be read, the error is ErrDamaged, but only
// when some of its transactions are not delivered.
func (s *Spool) Resolve(id BatchID, r Resolution) error {
	b := s.batches
	b.compaction.RLock()
	e, err := b.startEnding(id)
	if err == nil {
		defer s.letters.hideEnding(id)()
		earlier := e.hasLetters
		if err = s.end(e, r); err != nil {
			b.cancelEnding(e)
		} else if earlier {
			s.removeStaleLetters(e, r)
		}
	}
	b.compaction.RUnlock()
	if err == nil {
		s.tidy()
	}
	return err
}

// end writes the dead letters and the record.
func (s *Spool) end(e *entry, r Resolution) error {
	if err := r.check(e); err != nil {
		return err
	}
	rec := &record{kind: recordResolved, id: e.id, delivered: e.events}
	if len(r.Dead) == 0 && len(r.Children) == 0 && len(r.Slices) == 0 && len(r.Restamped) == 0 {
		return s.finishBatch(rec, nil, r)
	}
	batch, err := s.read(e)
	if err != nil {
		return err
	}
	if err := r.Apply(batch); err != nil {
		return err
	}
	rec.delivered = 0
	for _, i := range r.Delivered {
		rec.delivered += uint64(batch.Transactions[i].Events)
	}
	for _, d := range r.Dead {
		rec.dead += uint64(batch.Transactions[d.Index].Events)
	}
	rec.letters = uint64(len(r.Dead))
	if len(r.Dead) > 0 {
		e.hasLetters = true // from here on there may be files, even if the record fails
	}
	if err := s.letters.write(batch, e.info(), r.Dead); err != nil {
		return err
	}
	return s.finishBatch(rec, batch, r)
}

// removeStaleLetters removes letters that an earlier attempt to end the batch wrote, and this one did not. It runs after the record is
// durable: until then, the earlier record may turn out to be durable.
func (s *Spool) removeStaleLetters(e *entry, r Resolution) {
	current := make(map[string]bool, len(r.Dead))
	for i := range r.Dead {
		current[letterID(e.id, r.Dead[i].Index)] = true
	}
	stale := slices.DeleteFunc(s.letters.ofBatch(e.id), func(letter string) bool { return current[letter] })
	_ = s.letters.removeFiles(stale)
}

// finishBatch writes the record, with the children in it, and before it the account record.
func (s *Spool) finishBatch(rec *record, batch *Batch, r Resolution) error {
	buf, records := appendChange(nil, batch, r)
	begin := len(buf)
	buf = appendID(openRecord(buf, recordResolved), rec.id)
	for _, v := range [...]uint64{rec.delivered, rec.dead, rec.letters, uint64(len(r.Children))} {
		buf = binary.AppendUvarint(buf, v)
	}
	for n, indices := range r.Children {
		child := &Batch{Lane: batch.Lane, FlatUsage: batch.FlatUsage, Sealed: batch.Sealed, OldestAccepted: batch.OldestAccepted}
		var ok bool
		if child.ID, ok = rec.id.child(n); !ok {
			return fmt.Errorf("spool: batch %s: split too often", rec.id)
		}
		for _, i := range indices {
			child.Transactions = append(child.Transactions, batch.Transactions[i])
		}
		e := s.batches.index.describe(child)
		start := len(buf)
		buf = appendBatch(buf, recordChild, 0, e, child.Transactions)
		e.offset, e.length = int64(start), uint32(len(buf)-start)
		rec.children = append(rec.children, e)
	}
	buf = closeRecord(buf, begin)
	if err := s.batches.append(buf, append(records, logged{record: rec})); err != nil {
		return fmt.Errorf("spool: resolve batch %s: %w", rec.id, err)
	}
	return nil
}

// check reports whether each transaction is in exactly one place.
func (r *Resolution) check(e *entry) error {
	seen := make([]bool, int(e.transactions)+len(r.Slices))
	count := 0
	for _, s := range r.Slices {
		if s.Index >= 0 && s.Index < int(e.transactions) && !seen[s.Index] {
			seen[s.Index] = true
			count++
		}
	}
	mark := func(i int) error {
		if i < 0 || i >= len(seen) || seen[i] {
			return fmt.Errorf("spool: resolve batch %s: transaction %d of %d is unknown or named twice", e.id, i, len(seen))
		}
		seen[i] = true
		count++
		return nil
	}
	for _, i := range r.Delivered {
		if err := mark(i); err != nil {
			return err
		}
	}
	for i := range r.Dead {
		if err := mark(r.Dead[i].Index); err != nil {
			return err
		}
	}
	for _, child := range r.Children {
		if len(child) == 0 {
			return fmt.Errorf("spool: resolve batch %s: a child has no transactions", e.id)
		}
		for _, i := range child {
			if err := mark(i); err != nil {
				return err
			}
		}
	}
	if count != len(seen) {
		return fmt.Errorf("spool: resolve batch %s: %d of %d transactions have an outcome", e.id, count, len(seen))
	}
	return nil
}

// Lose ends a damaged batch: its bytes go to quarantine/, its events are counted as lost. It returns once that is durable. It
// reads the batch again first. If that succeeds, nothing changes and the error is ErrNotDamaged; after a read error nothing
// changes either (I17).
func (s *Spool) Lose(id BatchID) error {
	b := s.batches
	b.compaction.RLock()
	defer b.compaction.RUnlock()
	e, err := b.startEnding(id)
	if err != nil {
		return err
	}
	if err = s.quarantineBatch(e); err != nil {
		b.cancelEnding(e)
		return fmt.Errorf("spool: lose batch %s: %w", id, err)
	}
	return nil
}

// quarantineBatch copies a damaged batch to quarantine/, then records that it is lost.
func (s *Spool) quarantineBatch(e *entry) error {
	b := s.batches
	switch _, err := b.batch(e); {
	case err == nil:
		return ErrNotDamaged
	case !errors.Is(err, wal.ErrDamaged):
		return err
	}
	if err := b.log.KeepRange(e.segment, e.offset, e.offset+int64(e.length)); err != nil {
		return err
	}
	return b.write(&record{kind: recordLost, id: e.id})
}
