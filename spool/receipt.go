package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// MaxReceipt is the maximum size of a receipt in bytes.
const MaxReceipt = 64

// AttemptWithReceipt is Attempt for a report with a receipt: the data by which its outcome can be determined later. Both are
// durable once it returns. The receipt stays with the batch, also after further attempts, until the batch ends, another receipt is
// recorded, or WithdrawReceipt.
func (s *Spool) AttemptWithReceipt(id BatchID, at time.Time, receipt []byte) error {
	if len(receipt) == 0 || len(receipt) > MaxReceipt {
		return fmt.Errorf("spool: batch %s: a receipt of %d bytes, expected 1 to %d", id, len(receipt), MaxReceipt)
	}
	b := s.batches
	b.compaction.RLock()
	defer b.compaction.RUnlock()
	if err := b.checkLive(id); err != nil {
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

// Sent records that the backend accepted the report of the last attempt; the receipt will tell whether it counted the report. The
// batch stays pending. It returns before that is durable: the record is written with the next one, and after a crash the attempt
// has no outcome.
func (s *Spool) Sent(id BatchID) error { return s.receiptState(id, true) }

// WithdrawReceipt records that the last attempt had a definite answer, that the backend counted nothing, and that the batch has no
// receipt any more. It returns before that is durable: the record is written with the next one.
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

// applyReceiptLocked applies a receipt record.
func (e *entry) applyReceiptLocked(r *record) {
	e.receipt, e.sent = r.receipt, r.sent
}

// reservedName is the file of receipts of reports that have ended.
const reservedName = "receipts"

// maxReserved is the maximum size of that file in bytes.
const maxReserved = 4 << 20

// SaveReceipts replaces the data that LoadReceipts returns. It returns once that is durable. It is for one goroutine at a time.
func (s *Spool) SaveReceipts(data []byte) error { return s.saveFile(reservedName, data) }

func (s *Spool) saveFile(name string, data []byte) error {
	made, err := replaceFile(s.fs, s.mode, filepath.Join(s.dir, name), data)
	if err == nil {
		err = made.Close()
	}
	if err != nil {
		return fmt.Errorf("spool: write %s: %w", name, err)
	}
	return nil
}

// LoadReceipts returns the data of the last SaveReceipts; nil if there is none.
func (s *Spool) LoadReceipts() ([]byte, error) { return s.loadFile(reservedName, maxReserved) }

func (s *Spool) loadFile(name string, most int64) ([]byte, error) {
	file, err := s.fs.OpenFile(filepath.Join(s.dir, name), os.O_RDONLY, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("spool: read %s: %w", name, err)
	}
	defer func() { _ = file.Close() }()
	size, err := file.Size()
	if err == nil && size > most {
		err = fmt.Errorf("it has %d bytes, expected at most %d", size, most)
	}
	if err != nil {
		return nil, fmt.Errorf("spool: read %s: %w", name, err)
	}
	data := make([]byte, size)
	if _, err := file.ReadAt(data, 0); err != nil && size > 0 {
		return nil, fmt.Errorf("spool: read %s: %w", name, err)
	}
	return data, nil
}

// totalsName is the file of how much was accepted, ever, and maxTotals its maximum size in bytes.
const (
	totalsName = "totals"
	maxTotals  = 32 << 20
)

// SaveTotals replaces the data that LoadTotals returns. It returns once that is durable. It is for one goroutine at a time.
func (s *Spool) SaveTotals(data []byte) error { return s.saveFile(totalsName, data) }

// LoadTotals returns the data of the last SaveTotals; nil if there is none.
func (s *Spool) LoadTotals() ([]byte, error) { return s.loadFile(totalsName, maxTotals) }

// SendAgain records that the report with the batch's receipt was not counted, and that the batch is sent again with the same
// receipt. It returns once that is durable.
func (s *Spool) SendAgain(id BatchID) error { return s.decideReceipt(id, true) }

// DropReceipt is SendAgain without the receipt: the next report of the batch has a new one, or none.
func (s *Spool) DropReceipt(id BatchID) error { return s.decideReceipt(id, false) }

func (s *Spool) decideReceipt(id BatchID, keep bool) error {
	b := s.batches
	b.compaction.RLock()
	defer b.compaction.RUnlock()
	b.index.mu.Lock()
	e := b.index.live[id]
	if e == nil {
		b.index.mu.Unlock()
		return fmt.Errorf("spool: batch %s: %w", id, ErrUnknownBatch)
	}
	note, r := &record{kind: recordNote, id: id, at: e.attempted}, &record{kind: recordReceipt, id: id}
	if keep {
		r.receipt = e.receipt
	}
	b.index.mu.Unlock()
	buf := note.append(nil)
	records := []logged{{record: note}, {record: r, offset: len(buf)}}
	if err := b.append(r.append(buf), records); err != nil {
		return fmt.Errorf("spool: batch %s: %w", id, err)
	}
	return nil
}
