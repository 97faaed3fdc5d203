package spool

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// Load reads a live batch, checked by its CRC. A batch that cannot be read as it was written gives
// ErrDamaged; see Lose. Another error of the disk is worth a second try: the third in a row is ErrDamaged.
func (s *Spool) Load(id BatchID) (*Batch, error) {
	b := s.batches
	b.moves.RLock()
	defer b.moves.RUnlock()
	b.index.mu.Lock()
	e := b.index.live[id]
	b.index.mu.Unlock()
	if e == nil {
		return nil, fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	return s.read(e)
}

// read reads a batch's record. moves is held for reading, so the record stays where it is.
func (s *Spool) read(e *entry) (*Batch, error) {
	body, err := s.batches.body(e)
	if err == nil {
		var batch *Batch
		if batch, err = s.batches.index.parseBatch(body); err == nil && batch.ID == e.id {
			return batch, nil
		}
		err = ErrDamaged
	}
	return nil, fmt.Errorf("spool: read batch %s: %w", e.id, err)
}

// body returns a batch's record without its head, in memory of its own.
func (b *batches) body(e *entry) ([]byte, error) {
	b.index.mu.Lock()
	segment, offset, data := e.segment, e.offset, make([]byte, e.length)
	b.index.mu.Unlock()
	err := b.log.readAt(segment, data, offset)
	if err == nil {
		if body, _ := cutRecord(data); body != nil {
			return body, nil
		}
		return nil, ErrDamaged
	}
	if away := b.log.presence.look(); away != nil { // nothing is damaged because its directory is gone
		return nil, away
	}
	if errors.Is(err, io.EOF) || errors.Is(err, os.ErrNotExist) {
		return nil, errors.Join(ErrDamaged, err)
	}
	b.index.mu.Lock()
	defer b.index.mu.Unlock()
	if e.unreadable++; e.unreadable >= readTries {
		return nil, errors.Join(ErrDamaged, err)
	}
	return nil, err
}

// readAt fills data from a segment's file.
func (l *segmentLog) readAt(s *segment, data []byte, offset int64) error {
	file, err := l.fs.OpenFile(l.path(s.name()), os.O_RDONLY, 0)
	if err != nil {
		return err
	}
	n, err := file.ReadAt(data, offset)
	if n == len(data) {
		err = nil
	}
	return errors.Join(err, file.Close())
}
