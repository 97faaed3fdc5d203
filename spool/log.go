package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool/disk"
)

// segmentLog is a log of frames in segment files. The journal, the batch log and the ids are one each.
//
// One goroutine at a time commits (the owners' group commit sees to that); everything else may run
// beside it.
type segmentLog struct {
	fs           disk.FS
	root         string // the data directory; names in errors and findings are relative to it
	dir          string // relative to root
	kind         logKind
	segmentBytes int64
	sync         SyncMode
	keepSpare    bool // a preallocated file waits to become the next segment
	quota        *diskQuota
	timing       *timing
	health       health
	presence     *presence
	manifest     *manifest

	repairs []func() error // what a start changes in this log, once it has read everything: see repair

	// file and off are owned by whoever commits: the active segment, nil when there is none, and where
	// its next frame goes.
	file disk.File
	off  int64

	dropping sync.Mutex // held by the one goroutine that removes segments
	filling  sync.Mutex // held by the one goroutine that makes the spare file

	mu       sync.Mutex // guards the fields below, and end, next and size of the segments
	segments []*segment // oldest first; the last one is active when file is not nil
	next     uint64     // sequence number of the next frame
	spare    int64      // size of the spare file; 0: there is none
}

// place is where a frame ended up.
type place struct {
	segment *segment
	offset  int64
	first   uint64
}

func (l *segmentLog) path(name string) string { return filepath.Join(l.root, l.dir, name) }

// commit writes one frame and returns once it is durable. buf begins with frameHead bytes of room for
// the head. durable is called before any reader can see the frame. After an error nothing of the frame
// will be seen, unless the process ends before the next commit: then it may have landed.
//
// I4: a file whose write or sync failed is never written or synced again; the frame goes to a new
// segment that begins with the same sequence number, which supersedes what may have landed.
func (l *segmentLog) commit(buf []byte, count uint32, durable func(place)) error {
	if len(buf) > frameHead+maxFrame {
		return fmt.Errorf("spool: commit to %s: a frame of %d bytes, which nobody would read", l.dir, len(buf))
	}
	if err := l.presence.err(); err != nil {
		return fmt.Errorf("spool: commit to %s: %w", l.dir, err)
	}
	at, err := l.put(buf, count)
	if err != nil {
		at, err = l.put(buf, count)
	}
	if err != nil {
		return fmt.Errorf("spool: commit to %s: %w", l.dir, err)
	}
	durable(at)
	l.mu.Lock()
	l.off += int64(len(buf))
	l.next = at.first + uint64(count)
	at.segment.end, at.segment.next = l.off, l.next // I2: readable only now
	extent := l.extentOf(l.segments)
	l.mu.Unlock()
	l.manifest.note(l.kind, extent) // behind the fdatasync and before anybody is told
	return nil
}

// put writes and syncs, into a new segment where there is no room.
func (l *segmentLog) put(buf []byte, count uint32) (place, error) {
	if err := l.makeRoom(int64(len(buf))); err != nil {
		return place{}, err
	}
	s := l.active()
	at := place{segment: s, offset: l.off, first: s.next}
	newFrame(frameData, at.first, count, buf[frameHead:]).put(buf)
	if _, err := l.file.WriteAt(buf, l.off); err != nil {
		l.abandon()
		return place{}, err
	}
	if err := l.syncFile(l.file); err != nil { // I1
		l.abandon()
		return place{}, err
	}
	return at, nil
}

// active returns the segment under file. Only whoever commits may rely on it.
func (l *segmentLog) active() *segment {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.segments[len(l.segments)-1]
}

// syncFile makes a file's bytes durable, unless the mode leaves that to the kernel, and times it.
func (l *segmentLog) syncFile(f disk.File) error {
	if l.sync == Never {
		return nil
	}
	start := time.Now()
	err := f.Sync()
	l.timing.observe(time.Since(start))
	return err
}

func (l *segmentLog) syncDir() error {
	if l.sync == Never {
		return nil
	}
	return l.fs.SyncDir(filepath.Join(l.root, l.dir))
}

// makeRoom sees to it that a frame of n bytes fits into the active segment, with a footer behind it.
func (l *segmentLog) makeRoom(n int64) error {
	if l.file != nil && l.off+n+frameHead <= l.active().size {
		return nil
	}
	l.seal()
	return l.create(max(l.segmentBytes, segmentHead+n+frameHead))
}

// create makes a new active segment. Its name and head are durable before anything is written to it.
func (l *segmentLog) create(size int64) error {
	if err := l.presence.look(); err != nil { // never a file in a directory that took the name
		return err
	}
	s := &segment{first: l.nextSequence(), size: size, end: segmentHead}
	s.next = s.first
	if last := l.last(); last != nil && last.first == s.first {
		s.try = last.try + 1
	}
	file, err := l.createFile(s)
	if err != nil {
		return fmt.Errorf("new segment %s: %w", s.name(), err)
	}
	l.mu.Lock()
	l.segments = append(l.segments, s)
	l.mu.Unlock()
	l.file, l.off = file, segmentHead
	l.refillSpare()
	return nil
}

// claim makes the file of a segment, out of the spare one if that is large enough.
func (l *segmentLog) createFile(s *segment) (_ disk.File, err error) {
	flag := os.O_RDWR | os.O_CREATE | os.O_TRUNC
	if spare := l.takeSpare(s.size); spare > 0 {
		if l.fs.Rename(l.path(spareName), l.path(s.name())) == nil {
			flag, s.size = os.O_RDWR, spare
		}
	}
	file, err := l.fs.OpenFile(l.path(s.name()), flag, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			_ = file.Close()
			_ = l.fs.Remove(l.path(s.name()))
			l.quota.free(s.size)
		}
	}()
	if flag&os.O_CREATE != 0 {
		l.quota.take(s.size)
		if err = file.Allocate(s.size); err != nil {
			return nil, err
		}
	}
	head := make([]byte, segmentHead)
	s.putHead(head, l.kind)
	if _, err = file.WriteAt(head, 0); err != nil {
		return nil, err
	}
	if err = l.syncFile(file); err != nil {
		return nil, err
	}
	return file, l.syncDir() // I5
}

// seal closes the active segment in good order: a footer says where it ends, and the rest of its
// reservation is given back. All of this is a courtesy to whoever reads the file next.
func (l *segmentLog) seal() {
	if l.file == nil {
		return
	}
	footer := make([]byte, frameHead)
	newFrame(frameFooter, l.nextSequence(), 0, nil).put(footer)
	end := l.off
	if _, err := l.file.WriteAt(footer, l.off); err == nil {
		end += frameHead
	}
	l.shrink(end)
}

// abandon closes the active segment after a failure: I4.
func (l *segmentLog) abandon() { l.shrink(l.off) }

// shrink gives back what the active segment reserved behind end, and closes it.
func (l *segmentLog) shrink(end int64) {
	s := l.active()
	if err := l.file.Truncate(end); err == nil {
		l.resize(s, end)
	}
	_ = l.file.Close()
	l.file = nil
}

func (l *segmentLog) resize(s *segment, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.quota.free(s.size - size)
	s.size = size
}

// close seals the active segment and makes that durable. Only whoever commits may call it.
func (l *segmentLog) close() error {
	if l.file == nil {
		return nil
	}
	file, s := l.file, l.active()
	footer := make([]byte, frameHead)
	newFrame(frameFooter, l.nextSequence(), 0, nil).put(footer)
	l.file = nil
	if _, err := file.WriteAt(footer, l.off); err != nil {
		return errors.Join(err, file.Close())
	}
	if err := file.Truncate(l.off + frameHead); err != nil {
		return errors.Join(err, file.Close())
	}
	l.resize(s, l.off+frameHead)
	return errors.Join(l.syncFile(file), file.Close())
}
