package spool

import "github.com/reporterd/reporterd/spool/wal"

// tidy removes segments of the batch log that hold no live batch. When less than half of the log is live, it also copies one
// batch of the oldest segment forward, so that one held lane does not keep the whole log on disk. One batch a call is enough,
// since each call follows a record that may have freed one.
func (s *Spool) tidy() {
	b := s.batches
	if !b.compaction.TryLock() {
		_ = b.removeEnded()
		return
	}
	defer b.compaction.Unlock()
	_ = b.removeEnded() // on an error the next call retries
	if e := b.compactionVictim(); e != nil {
		if b.copyForward(e) == nil {
			_ = b.removeEnded()
		}
	}
}

// removeEnded removes the oldest segments that hold no live batch and no record that the change feed still needs.
func (b *batches) removeEnded() error {
	_, size := b.log.Files()
	tight := size-b.index.size() > b.changesLimit // the reader of ChangeFeed is far behind: events need the space more
	return b.log.DropWhile(func(oldest *wal.Segment, _, next uint64) bool {
		if oldest.Pins.Load() > 0 {
			return false
		}
		needed := b.needed()
		if needed == 0 || tight {
			return true
		}
		if oldest.ReleaseAfter.Load() == 0 {
			oldest.ReleaseAfter.Store(int64(next)) // the records that ended its batches are below this number
		}
		return needed >= uint64(oldest.ReleaseAfter.Load())
	})
}

// needed returns the first record that a reader of the log still has to read; 0: there is no reader.
func (b *batches) needed() uint64 {
	booked, kept := b.booked.Load(), b.kept.Load()
	if booked == 0 || kept == 0 {
		return max(booked, kept)
	}
	return min(booked, kept)
}

// size returns the bytes of the records of live batches.
func (x *index) size() int64 {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.bytes
}

// compactionVictim returns a live batch of the oldest segment, when the log has grown to several segments and
// less than half of it is live.
func (b *batches) compactionVictim() *entry {
	count, size := b.log.Files()
	if count < 3 || size < 2*b.log.SegmentBytes {
		return nil
	}
	oldest := b.log.Oldest()
	b.index.mu.Lock()
	defer b.index.mu.Unlock()
	if b.index.bytes*2 >= size || oldest == nil {
		return nil
	}
	var found *entry
	for _, e := range b.index.live {
		if e.segment == oldest && (found == nil || e.id.Compare(found.id) < 0) {
			found = e
		}
	}
	return found
}

// copyForward copies a live batch to the end of the log, with its attempts. compaction is held for writing (I10). A batch that
// cannot be read stays where it is; Load reports the error.
func (b *batches) copyForward(e *entry) error {
	batch, err := b.batch(e)
	if err != nil {
		return err
	}
	b.index.mu.Lock()
	copied := *e
	b.index.mu.Unlock()
	copied.prev, copied.next = nil, nil
	buf := appendBatch(nil, recordMoved, 0, &copied, batch.Transactions)
	copied.offset, copied.length = 0, uint32(len(buf))
	records := []logged{{record: &record{kind: recordMoved, entry: &copied}}}
	if copied.attempts > 0 || copied.unresolved > 0 {
		note := &record{kind: recordNote, id: e.id, unresolved: copied.unresolved, at: copied.attempted}
		records = append(records, logged{record: note, offset: len(buf)})
		buf = note.append(buf)
	}
	if copied.receipt != "" {
		note := &record{kind: recordReceipt, id: e.id, sent: copied.sent, receipt: copied.receipt}
		records = append(records, logged{record: note, offset: len(buf)})
		buf = note.append(buf)
	}
	return b.append(buf, records)
}
