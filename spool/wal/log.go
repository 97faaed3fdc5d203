package wal

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool/disk"
)

// Options of New: the place of the log, and the functions it calls.
type Options struct {
	FS           disk.FS
	Root         string // the data directory; names in errors and findings are relative to it
	Dir          string // relative to Root
	Kind         Kind
	SegmentBytes int64
	NoSync       bool // durability is left to the kernel
	ReadOnly     bool // Repair and KeepRange change nothing
	KeepSpare    bool // a preallocated file is kept as the next segment
	Quota        *Quota
	Quarantine   *Quarantine
	Presence     *Presence           // nil: the directory is not watched
	Synced       func(time.Duration) // called with the duration of each fdatasync; may be nil
	Noted        func(Extent)        // called with the extent of the log after the fdatasync of a frame, before Commit returns, and before a segment is removed; may be nil
}

// New returns a log that has read nothing: call Open, or List.
func New(o Options) *Log { return &Log{Options: o} }

// Log is a log of frames in segment files. The journal, the batch log and the ids each have one.
//
// One goroutine at a time commits (the group commit of the owners ensures that); all other methods may run concurrently.
type Log struct {
	Options
	health health

	trusted Extent         // up to where the log was durable before this start
	repairs []func() error // the changes that Repair makes

	// file and off are owned by the goroutine that commits: the active segment's file, nil if there is none, and the offset of
	// its next frame.
	file disk.File
	off  int64

	removal sync.Mutex // held by the one goroutine that removes segments
	spareMu sync.Mutex // held by the one goroutine that makes the spare file

	mu       sync.Mutex // guards the fields below, and end, next and size of the segments
	segments []*Segment // oldest first; the last one is active when file is not nil
	next     uint64     // sequence number of the next frame
	spare    int64      // size of the spare file; 0: there is none
}

// Place says where a frame was written.
type Place struct {
	Segment *Segment
	Offset  int64
	First   uint64
}

func (l *Log) path(name string) string { return filepath.Join(l.Root, l.Dir, name) }

// Commit writes one frame and returns once it is durable. buf begins with FrameHead unused bytes for the head. durable is called
// before a reader can see the frame. After an error no part of the frame becomes visible, unless the process ends before the next
// commit: then the frame may have been written.
//
// I4: a file whose write or sync failed is never written or synced again; the frame goes to a new segment that begins with the
// same sequence number, which supersedes what may have been written.
func (l *Log) Commit(buf []byte, count uint32, durable func(Place)) error {
	if len(buf) > FrameHead+MaxFrame {
		return fmt.Errorf("spool: commit to %s: a frame of %d bytes: the maximum is %d", l.Dir, len(buf), FrameHead+MaxFrame)
	}
	if err := l.Presence.Err(); err != nil {
		return fmt.Errorf("spool: commit to %s: %w", l.Dir, err)
	}
	at, err := l.put(buf, count)
	if err != nil {
		at, err = l.put(buf, count)
	}
	if err != nil {
		return fmt.Errorf("spool: commit to %s: %w", l.Dir, err)
	}
	durable(at)
	l.mu.Lock()
	l.off += int64(len(buf))
	l.next = at.First + uint64(count)
	at.Segment.end, at.Segment.next = l.off, l.next // I2: readable only now
	extent := l.extentOfLocked(l.segments)
	l.mu.Unlock()
	l.note(extent) // after the fdatasync and before the answer to the producer
	return nil
}

func (l *Log) note(e Extent) {
	if l.Noted != nil {
		l.Noted(e)
	}
}

// put writes and syncs a frame, to a new segment if it does not fit.
func (l *Log) put(buf []byte, count uint32) (Place, error) {
	if err := l.ensureSpace(int64(len(buf))); err != nil {
		return Place{}, err
	}
	s := l.active()
	at := Place{Segment: s, Offset: l.off, First: s.next}
	l.frame(FrameData, at.First, count, buf[FrameHead:]).Put(buf)
	if _, err := l.file.WriteAt(buf, l.off); err != nil {
		l.abandon()
		return Place{}, err
	}
	if err := l.syncFile(l.file); err != nil { // I1
		l.abandon()
		return Place{}, err
	}
	return at, nil
}

// active returns the segment of file. Only the goroutine that commits may call it.
func (l *Log) active() *Segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segments[len(l.segments)-1]
}

// syncFile makes a file's bytes durable, unless NoSync is set, and measures the duration.
func (l *Log) syncFile(f disk.File) error {
	if l.NoSync {
		return nil
	}
	start := time.Now()
	err := f.Sync()
	if l.Synced != nil {
		l.Synced(time.Since(start))
	}
	return err
}

func (l *Log) syncDir() error {
	if l.NoSync {
		return nil
	}
	return l.FS.SyncDir(filepath.Join(l.Root, l.Dir))
}

// ensureSpace starts a new segment unless a frame of n bytes, and a footer, fit into the active one.
func (l *Log) ensureSpace(n int64) error {
	if l.file != nil && l.off+n+FrameHead <= l.active().Size {
		return nil
	}
	l.seal()
	return l.create(max(l.SegmentBytes, SegmentHead+n+FrameHead))
}

// create makes a new active segment. Its name and head are durable before anything is written to it.
func (l *Log) create(size int64) error {
	if err := l.Presence.Look(); err != nil { // never create a file in another directory that has the name now (I19)
		return err
	}
	s := &Segment{First: l.NextSequence(), Size: size, end: SegmentHead}
	s.next = s.First
	if last := l.Last(); last != nil && last.First == s.First {
		s.Try = last.Try + 1
	}
	file, err := l.createFile(s)
	if err != nil {
		return fmt.Errorf("new segment %s: %w", s.Name(), err)
	}
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	l.file, l.off = file, SegmentHead
	l.RefillSpare()
	return nil
}

// createFile makes the file of a segment; it renames the spare file if that is large enough.
func (l *Log) createFile(s *Segment) (_ disk.File, err error) {
	flag := os.O_RDWR | os.O_CREATE | os.O_TRUNC
	if spare := l.takeSpare(s.Size); spare > 0 {
		if l.FS.Rename(l.path(SpareName), l.path(s.Name())) == nil {
			flag, s.Size = os.O_RDWR, spare
		}
	}
	file, err := l.FS.OpenFile(l.path(s.Name()), flag, 0o600)
	if err != nil {
		if flag&os.O_CREATE == 0 && l.FS.Remove(l.path(s.Name())) == nil { // the spare file, under its new name
			l.Quota.Free(s.Size)
		}
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = l.FS.Remove(l.path(s.Name()))
			l.Quota.Free(s.Size)
		}
	}()
	if flag&os.O_CREATE != 0 {
		l.Quota.Take(s.Size)
		if err = file.Allocate(s.Size); err != nil {
			return nil, err
		}
	}
	head := make([]byte, SegmentHead)
	s.PutHead(head, l.Kind)
	if _, err = file.WriteAt(head, 0); err != nil {
		return nil, err
	}
	if err = l.syncFile(file); err != nil {
		return nil, err
	}
	return file, l.syncDir() // I5
}

// seal closes the active segment in good order: it writes a footer, and truncates the reserved rest. On an error the segment is
// still valid; recovery then finds its end without the footer.
func (l *Log) seal() {
	if l.file == nil {
		return
	}
	footer := make([]byte, FrameHead)
	l.frame(frameFooter, l.NextSequence(), 0, nil).Put(footer)
	end := l.off
	if _, err := l.file.WriteAt(footer, l.off); err == nil {
		end += FrameHead
	}
	l.shrink(end)
}

// abandon closes the active segment after a failure (I4).
func (l *Log) abandon() { l.shrink(l.off) }

// shrink truncates the active segment at end, and closes it.
func (l *Log) shrink(end int64) {
	s := l.active()
	if err := l.file.Truncate(end); err == nil {
		l.resize(s, end)
	}
	_ = l.file.Close()
	l.file = nil
}

func (l *Log) resize(s *Segment, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.Quota.Free(s.Size - size)
	s.Size = size
}

// Close seals the active segment and makes that durable. Only the goroutine that commits may call it.
func (l *Log) Close() error {
	if l.file == nil {
		return nil
	}
	file, s := l.file, l.active()
	footer := make([]byte, FrameHead)
	l.frame(frameFooter, l.NextSequence(), 0, nil).Put(footer)
	l.file = nil
	if _, err := file.WriteAt(footer, l.off); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Truncate(l.off + FrameHead); err != nil {
		return errors.Join(err, file.Close())
	}
	l.resize(s, l.off+FrameHead)
	return errors.Join(l.syncFile(file), file.Close())
}
