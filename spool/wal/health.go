package wal

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// The pause before a failed read is repeated, to find out whether the disk works again; doubled up to the maximum.
const (
	retestBase = 100 * time.Millisecond
	retestMax  = 5 * time.Second
)

// health records whether a log can be read. All methods may be called concurrently.
type health struct {
	errors atomic.Uint64 // since the start

	mu      sync.Mutex // guards failing and what it points to
	failing *failedRead
}

// failedRead is a read that failed and has not succeeded since. The first one stands for all later ones: it is repeated until it
// succeeds.
type failedRead struct {
	segment *Segment
	at      span // empty: the file could not be opened
	err     error
	next    time.Time // when it is repeated
	wait    time.Duration
}

// failed records a failed read.
func (h *health) failed(s *Segment, at span, err error) {
	h.errors.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == nil {
		h.failing = &failedRead{segment: s, at: at, err: err, next: time.Now().Add(retestBase), wait: retestBase}
	}
}

// Unreadable returns why the log cannot be read now; nil: no read failure is known. It repeats the failed read, with growing
// pauses, so that it returns nil soon after the disk works again, even if no other goroutine reads there. It takes as long as
// that read.
func (l *Log) Unreadable() error {
	h := &l.health
	h.mu.Lock()
	f := h.failing
	if f == nil || time.Now().Before(f.next) {
		defer h.mu.Unlock()
		if f == nil {
			return nil
		}
		return f.err
	}
	f.wait = min(2*f.wait, retestMax)
	f.next = time.Now().Add(f.wait)
	err := f.err
	h.mu.Unlock()
	if !l.readsAgain(f) {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == f {
		h.failing = nil
	}
	return nil
}

// readsAgain repeats a failed read. It also succeeds if the segment is not needed any more.
func (l *Log) readsAgain(f *failedRead) bool {
	if l.wasReleased(f.segment) {
		return true
	}
	file, err := l.FS.OpenFile(l.path(f.segment.Name()), os.O_RDONLY, 0)
	if err != nil {
		return false
	}
	defer func() { _ = file.Close() }() // opened for reading
	n, err := io.Copy(io.Discard, io.NewSectionReader(file, f.at.at, f.at.bytes))
	return err == nil && n == f.at.bytes
}

// ReadErrors returns how many files or parts of them could not be read since the start.
func (l *Log) ReadErrors() uint64 { return l.health.errors.Load() }
