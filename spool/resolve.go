package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

// Resolution says where each transaction of a batch ends: each index stands in exactly one of the three.
type Resolution struct {
	// Slices divide transactions by metric. The nth of them counts as transaction number (transactions of
	// the batch) + n, and the one it is a slice of is not named any more.
	Slices    []Slice
	Delivered []int        // taken by the backend
	Dead      []DeadLetter // with Index, Reason, Answer; the rest is filled in
	Children  [][]int      // each becomes a live batch of its own; at most 15, 16 splits deep

	// Restamped are those of the delivered ones that were sent with the time At instead of their own.
	Restamped []int
	At        time.Time
}

// Slice is a part of a transaction: some of its metrics, and how many of its events count for it. The
// slices of a transaction have each of its metrics once, and all of its events.
type Slice struct {
	Index   int
	Metrics []string
	Events  uint32
}

// Apply appends the slices to the transactions they are of. It says if they are not whole.
func (r *Resolution) Apply(b *Batch) error {
	metrics, events := make(map[int]int), make(map[int]uint32)
	for _, s := range r.Slices {
		if s.Index < 0 || s.Index >= len(b.Transactions) || len(s.Metrics) == 0 || s.Events == 0 {
			return fmt.Errorf("spool: resolve batch %s: a slice of nothing", b.ID)
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
			return fmt.Errorf("spool: resolve batch %s: transaction %d is not whole in its slices", b.ID, i)
		}
	}
	return nil
}

// Resolve ends a batch in one atomic record. It returns once that is durable; the dead letter files are
// written before. Resolving again after an error or a crash has the same effect. A batch that cannot be
// read gives ErrDamaged, but only when some of its transactions are not delivered.
func (s *Spool) Resolve(id BatchID, r Resolution) error {
	b := s.batches
	b.compaction.RLock()
	e, err := b.hold(id)
	if err == nil {
		defer s.letters.end(id)()
		earlier := e.lettered
		if err = s.end(e, r); err != nil {
			b.release(e)
		} else if earlier {
			s.withdraw(e, r)
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
		e.lettered = true // from here on there may be files, whatever becomes of the record
	}
	if err := s.letters.write(batch, e.info(), r.Dead); err != nil {
		return err
	}
	return s.finishBatch(rec, batch, r)
}

// withdraw removes the letters that an earlier try at ending the batch left, and this one did not mean. It
// comes after the record: until then, the earlier one may turn out to have landed.
func (s *Spool) withdraw(e *entry, r Resolution) {
	meant := make(map[string]bool, len(r.Dead))
	for i := range r.Dead {
		meant[letterID(e.id, r.Dead[i].Index)] = true
	}
	files, err := s.letters.stale(func(batch BatchID, letter string) bool { return batch == e.id && !meant[letter] })
	if err == nil {
		_ = s.letters.withdraw(files)
	}
}

// finishBatch writes the record, with the children in it, and before it what it does not say of the others.
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

// check says whether each transaction ends in exactly one place.
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
			return fmt.Errorf("spool: resolve batch %s: a child without transactions", e.id)
		}
		for _, i := range child {
			if err := mark(i); err != nil {
				return err
			}
		}
	}
	if count != len(seen) {
		return fmt.Errorf("spool: resolve batch %s: %d of %d transactions have an end", e.id, count, len(seen))
	}
	return nil
}

// Lose ends a batch that is damaged: its bytes go to quarantine/, its events are counted as lost. It returns once that
// is durable. It reads the batch again first, and changes nothing when that works (ErrNotDamaged) or when the disk says
// nothing (I17).
func (s *Spool) Lose(id BatchID) error {
	b := s.batches
	b.compaction.RLock()
	defer b.compaction.RUnlock()
	e, err := b.hold(id)
	if err != nil {
		return err
	}
	if err = s.lost(e); err != nil {
		b.release(e)
		return fmt.Errorf("spool: lose batch %s: %w", id, err)
	}
	return nil
}

// lost sets a damaged batch aside, then records that it is lost.
func (s *Spool) lost(e *entry) error {
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
