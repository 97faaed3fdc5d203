package wal

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// All returns the segments, oldest first.
func (l *Log) All() []*Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.segments)
}

// Raise ensures that no sequence number below next is used from now on. It is for a start, before the first commit.
func (l *Log) Raise(next uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.next = max(l.next, next)
}

// NextSequence returns the sequence number of the next frame: everything below it is durable.
func (l *Log) NextSequence() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next
}

// Oldest returns the oldest segment, or nil.
func (l *Log) Oldest() *Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return nil
	}
	return l.segments[0]
}

// SealedBytes returns the size of all segments but the newest, which is larger than what is in it.
func (l *Log) SealedBytes() (n int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range max(len(l.segments)-1, 0) {
		n += l.segments[i].Size
	}
	return n
}

// Last returns the newest segment, or nil.
func (l *Log) Last() *Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return nil
	}
	return l.segments[len(l.segments)-1]
}

// oldestFirst returns the first sequence number of the oldest segment; 0: no segment.
func (l *Log) oldestFirst() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) == 0 {
		return 0
	}
	return l.segments[0].First
}

// extent returns up to which offset a segment may be read, the sequence number after its last entry, and the next segment, if
// there is one. If there is, the first one does not grow any more.
func (l *Log) extent(s *Segment) (end int64, reach uint64, following *Segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, candidate := range l.segments {
		if candidate == s || candidate.First > s.First || candidate.First == s.First && candidate.Try > s.Try {
			if candidate != s {
				following = candidate
			} else if i+1 < len(l.segments) {
				following = l.segments[i+1]
			}
			break
		}
	}
	return s.end, s.next, following
}

// wasReleased reports whether a segment's entries are not needed any more: then its file may be missing.
func (l *Log) wasReleased(s *Segment) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return s.released
}

// Remaining returns how many bytes still fit into the newest segment.
func (l *Log) Remaining() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 {
		return l.segments[n-1].Size - l.segments[n-1].end
	}
	return 0
}

// holding returns the segment that contains a sequence number, or the first one after it, or nil.
func (l *Log) holding(sequence uint64) *Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, s := range l.segments {
		if sequence < s.next || i == len(l.segments)-1 {
			return s
		}
	}
	return nil
}

// DropWhile removes segments from the oldest on, as long as done returns true, but never the last one that has a frame: it keeps
// the sequence numbers from starting over (I6), and the totals of the batch log (I11). Each removal is durable before the next
// begins, so that a record never outlives the one that ended it (I7). done gets the number after the segment's last entry and
// that of the next frame, and must not call the log.
func (l *Log) DropWhile(done func(oldest *Segment, reach, next uint64) bool) error {
	l.removal.Lock()
	defer l.removal.Unlock()
	for {
		l.mu.Lock()
		if !l.succeededLocked() || !done(l.segments[0], l.segments[0].next, l.next) {
			l.mu.Unlock()
			return nil
		}
		oldest := l.segments[0]
		left := l.extentOfLocked(l.segments[1:])
		l.mu.Unlock()
		if err := l.Presence.Look(); err != nil {
			return err
		}
		l.mu.Lock()
		oldest.released = true
		l.mu.Unlock()
		l.note(left) // before the removal, so that a start does not report it as missing
		if err := l.remove(oldest); err != nil {
			return err
		}
		if err := l.syncDir(); err != nil {
			return err
		}
		l.mu.Lock()
		l.segments = l.segments[1:]
		l.Quota.Free(oldest.Size)
		l.mu.Unlock()
	}
}

// remove deletes the file of a segment. If the file is missing although this process did not remove it, that is a read error
// (I17): it may come back, and must not have outlived the segments after it (I7).
func (l *Log) remove(s *Segment) error {
	err := l.FS.Remove(l.path(s.Name()))
	l.mu.Lock()
	s.removed = s.removed || err == nil || errors.Is(err, syscall.EIO) // of these errors, only after EIO may the removal have happened
	removed := s.removed
	s.released = removed
	l.mu.Unlock()
	if removed && errors.Is(err, fs.ErrNotExist) { // by an earlier attempt
		return nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return l.readError(s, span{}, err)
	}
	return err
}

// succeededLocked reports whether a segment after the oldest one has a frame.
func (l *Log) succeededLocked() bool {
	for _, s := range l.segments[min(1, len(l.segments)):] {
		if s.next > s.First {
			return true
		}
	}
	return false
}

// Droppable reports whether DropWhile would remove a segment.
func (l *Log) Droppable(done func(*Segment) bool) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.succeededLocked() && done(l.segments[0])
}

// takeSpare takes the spare file if it is large enough, and returns its size.
func (l *Log) takeSpare(size int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	spare := l.spare
	if spare < size {
		return 0
	}
	l.spare = 0
	return spare
}

// RefillSpare makes the spare file if there is none: the reserve that lets delivery go on when the disk is full. If it cannot be
// made, later calls retry, and no event is accepted in the meantime.
func (l *Log) RefillSpare() error {
	if !l.KeepSpare || l.hasSpare() { // the usual case
		return nil
	}
	l.spareMu.Lock()
	defer l.spareMu.Unlock()
	if l.hasSpare() {
		return nil
	}
	if err := l.Presence.Look(); err != nil {
		return l.noSpare(err)
	}
	size := l.SegmentBytes
	file, err := l.FS.OpenFile(l.path(SpareName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if errors.Is(err, syscall.EISDIR) && l.FS.Remove(l.path(SpareName)) == nil { // an empty directory
		file, err = l.FS.OpenFile(l.path(SpareName), os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	}
	if err != nil {
		return l.noSpare(err)
	}
	l.Quota.Take(size)
	if err := file.Allocate(size); err != nil {
		_ = file.Close()
		_ = l.FS.Remove(l.path(SpareName))
		l.Quota.Free(size)
		return l.noSpare(err)
	}
	_ = file.Close()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.spare = size
	return nil
}

// noSpare returns why the spare file cannot be made: the reason may be another one than a full disk.
func (l *Log) noSpare(err error) error {
	name := filepath.Join(l.Dir, SpareName)
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return noSpace{fmt.Errorf("spool: disk is full: no reserve for delivery: %w", err)}
	case errors.Is(err, syscall.EISDIR):
		return fmt.Errorf("spool: %s: is a directory: move it away: %w", name, err)
	}
	return fmt.Errorf("spool: %s, the reserve for delivery, cannot be created: %w", name, err)
}

func (l *Log) hasSpare() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.spare > 0
}

// Files returns how many segments there are, and the bytes of frames in them.
func (l *Log) Files() (count int, bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		bytes += s.end
	}
	return len(l.segments), bytes
}
