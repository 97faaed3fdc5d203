package wal

import (
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// How long to wait until a read that failed is tried again to find out whether the disk is well, doubled up to the
// maximum.
const (
	retestBase = 100 * time.Millisecond
	retestMax  = 5 * time.Second
)

// health is whether a log can be read. All methods may be called concurrently.
type health struct {
	errors atomic.Uint64 // since the start

	mu      sync.Mutex // guards failing and what it points to
	failing *failedRead
}

// failedRead is a read that failed and has not worked since. The first one stands for all that follow: it is
// repeated until it works.
type failedRead struct {
	segment *Segment
	at      span // empty: the file could not be opened
	err     error
	next    time.Time // when it is repeated
	wait    time.Duration
}

// failed notes a read that failed.
func (h *health) failed(s *Segment, at span, err error) {
	h.errors.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.failing == nil {
		h.failing = &failedRead{segment: s, at: at, err: err, next: time.Now().Add(retestBase), wait: retestBase}
	}
}

// Unreadable returns why the log cannot be read at the moment; nil: it can, as far as is known. A read that failed is
// repeated, with growing pauses, so that this is true again soon after the disk is well, whether or not anything
// else reads there. It takes as long as that read.
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

// readsAgain repeats a read that failed. It works as well when nothing in the segment is needed any more.
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
