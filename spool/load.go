package spool

import (
	"fmt"

	"github.com/reporterd/reporterd/spool/wal"
)

// Load reads a live batch and checks its CRC. If two readings do not hold, the error is ErrDamaged; see Lose. A *ReadError says
// nothing about the batch, however often it occurs: retry later (I17).
func (s *Spool) Load(id BatchID) (*Batch, error) {
	b := s.batches
	b.compaction.RLock()
	defer b.compaction.RUnlock()
	b.index.mu.Lock()
	e := b.index.live[id]
	b.index.mu.Unlock()
	if e == nil {
		return nil, fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	return s.read(e)
}

// read reads a batch's record. compaction is held for reading, so the record stays where it is.
func (s *Spool) read(e *entry) (*Batch, error) {
	batch, err := s.batches.batch(e)
	if err != nil {
		return nil, fmt.Errorf("spool: read batch %s: %w", e.id, err)
	}
	return batch, nil
}

// batch reads a live batch. A record that holds but is of another batch counts as damaged.
func (b *batches) batch(e *entry) (*Batch, error) {
	b.index.mu.Lock()
	segment, offset, length := e.segment, e.offset, int64(e.length)
	b.index.mu.Unlock()
	for range wal.Readings {
		body, err := b.record(segment, offset, length)
		if err != nil {
			return nil, err
		}
		if batch, err := b.index.parseBatch(body); err == nil && batch.ID == e.id {
			return batch, nil
		}
	}
	return nil, ErrDamaged
}
