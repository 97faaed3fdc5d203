package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// MaxReceipt is the most bytes of a receipt.
const MaxReceipt = 64

// AttemptWithReceipt is Attempt for a report that carries a receipt: what has to be known to find out later what became of it.
// Both are durable together, once it returns. A receipt stays with the batch, also when it is attempted again, until it has
// an end, another one is recorded, or WithdrawReceipt.
func (s *Spool) AttemptWithReceipt(id BatchID, at time.Time, receipt []byte) error {
	if len(receipt) == 0 || len(receipt) > MaxReceipt {
		return fmt.Errorf("spool: batch %s: a receipt of %d bytes, expected 1 to %d", id, len(receipt), MaxReceipt)
	}
	b := s.batches
	b.compaction.RLock()
	defer b.compaction.RUnlock()
	if err := b.known(id); err != nil {
		return err
	}
	attempt := &record{kind: recordAttempt, id: id, at: at.UnixNano()}
	note := &record{kind: recordReceipt, id: id, receipt: string(receipt)}
	buf := attempt.append(nil)
	records := []logged{{record: attempt}, {record: note, offset: len(buf)}}
	if err := b.append(note.append(buf), records); err != nil {
		return fmt.Errorf("spool: batch %s: %w", id, err)
	}
	return nil
}

// Sent records that the backend took the report of the last attempt, and that whether it counted it is to be found out by
// its receipt. The batch stays pending. It is written with the next record, and not waited for: after a crash the attempt
// is one without an outcome.
func (s *Spool) Sent(id BatchID) error { return s.receiptState(id, true) }

// WithdrawReceipt records that the last attempt had a definite answer, that the backend counted nothing, and that the batch has no
// receipt any more. It is written with the next record, and not waited for.
func (s *Spool) WithdrawReceipt(id BatchID) error { return s.receiptState(id, false) }

func (s *Spool) receiptState(id BatchID, sent bool) error {
	b := s.batches
	b.index.mu.Lock()
	e := b.index.live[id]
	if e == nil {
		b.index.mu.Unlock()
		return fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	e.open, e.sent = false, sent
	if !sent {
		e.receipt = ""
	}
	r := &record{kind: recordReceipt, id: id, sent: sent, receipt: e.receipt}
	b.index.mu.Unlock()
	b.later(&record{kind: recordAnswered, id: id})
	b.later(r)
	return nil
}

// applyReceipt takes what a record says of a batch's receipt.
func (e *entry) applyReceipt(r *record) {
	e.receipt, e.sent = r.receipt, r.sent
}

// reservedName is the file of receipts that are kept for reports which have an end.
const reservedName = "receipts"

// maxReserved bounds that file.
const maxReserved = 4 << 20

// SaveReceipts replaces what LoadReceipts returns. It returns once that is durable. One call is made at a time.
func (s *Spool) SaveReceipts(data []byte) error {
	made, err := replaceFile(s.fs, s.mode, filepath.Join(s.dir, reservedName), data)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return fmt.Errorf("spool: write %s: %w", reservedName, err)
	}
	return nil
}

// LoadReceipts returns what SaveReceipts wrote last; nil when there is nothing.
func (s *Spool) LoadReceipts() ([]byte, error) {
	file, err := s.fs.OpenFile(filepath.Join(s.dir, reservedName), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("spool: read %s: %w", reservedName, err)
	}
	defer func() { _ = file.Close() }()
	size, err := file.Size()
	if err == nil && size > maxReserved {
		err = fmt.Errorf("it has %d bytes, expected at most %d", size, maxReserved)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: read %s: %w", reservedName, err)
	}
	data := make([]byte, size)
	if _, err := file.ReadAt(data, 0); err != nil && size > 0 {
		return nil, fmt.Errorf("spool: read %s: %w", reservedName, err)
	}
	return data, nil
}
