package spool

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/reporterd/reporterd/disk"
)

// tornBytes is what a disk writes whole or not at all.
const tornBytes = 512

// visit is called for every frame in order. whole is false when the payload's checksum does not hold, and
// it stands before something that was acknowledged: then only records with checksums of their own count.
type visit func(s *segment, f frame, offset int64, payload []byte, whole bool)

// open lists the segments of a log and replays them: every frame that was acknowledged, and none that was
// superseded (I6). It streams, and fails only when the directory cannot be read.
func (l *segmentLog) open(from uint64, q *quarantine, found *Recovery, visit visit) error {
	if err := l.list(q, found); err != nil {
		return fmt.Errorf("spool: read %s: %w", l.dir, err)
	}
	l.next = 1
	for i, s := range l.segments {
		limit := uint64(math.MaxUint64)
		if i+1 < len(l.segments) {
			limit = l.segments[i+1].first
		}
		if s.first > l.next {
			l.next = s.first
		}
		if i+1 < len(l.segments) && limit <= from {
			s.end, s.next = s.size, limit // wholly behind: it is about to be removed
			continue
		}
		r := replay{log: l, segment: s, limit: limit, found: found, quarantine: q, visit: visit}
		if err := r.run(); err != nil {
			return fmt.Errorf("spool: read %s: %w", l.dir, err)
		}
		l.next = max(l.next, s.next)
	}
	return nil
}

// list finds the segments, in order. Files of another format are set aside; what is not ours is left
// alone.
func (l *segmentLog) list(q *quarantine, found *Recovery) error {
	entries, err := l.fs.ReadDir(filepath.Join(l.root, l.dir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		first, try, ok := parseSegmentName(e.Name)
		if !ok {
			if e.Name == spareName {
				_ = l.fs.Remove(l.path(spareName)) // made anew: what is in it is anybody's guess
			}
			continue
		}
		s := &segment{first: first, try: try, size: e.Size, end: segmentHead, next: first}
		if l.foreign(s) {
			l.setAside(s, q, found)
			continue
		}
		l.room.take(s.size)
		l.segments = append(l.segments, s)
	}
	slices.SortFunc(l.segments, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.try, b.try))
	})
	return nil
}

func (l *segmentLog) foreign(s *segment) bool {
	head := make([]byte, segmentHead)
	if s.size < segmentHead || l.readAt(s, head, 0) != nil {
		return false
	}
	return checkHead(head, l.kind) == headForeign || s.misnamed(head, l.kind)
}

func (l *segmentLog) setAside(s *segment, q *quarantine, found *Recovery) {
	why := l.whyForeign(s)
	kept, err := q.keepFile(l, s.name())
	if err != nil {
		kept = "where it is: " + err.Error()
	} else {
		q.add(s.size)
	}
	found.Refused = append(found.Refused, fmt.Sprintf("%s: %s, not read, kept %s", filepath.Join(l.dir, s.name()), why, kept))
}

// replay reads one segment at start.
type replay struct {
	log        *segmentLog
	segment    *segment
	limit      uint64 // the next segment's first: what is here from there on was superseded
	found      *Recovery
	quarantine *quarantine
	visit      visit

	scan scanner
	off  int64
	next uint64

	closed bool // a footer was read
}

// run reads the segment. A file that cannot even be opened is no damage: somebody has to see to it, and
// meanwhile nothing of it must be given up.
func (r *replay) run() error {
	s := r.segment
	file, err := r.log.fs.OpenFile(r.log.path(s.name()), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	r.next, r.off = s.first, min(segmentHead, s.size)
	r.scan = scanner{file: file, size: s.size}
	for r.next < r.limit && r.step() {
	}
	made := r.checkHead()
	s.end, s.next = max(r.off, segmentHead), r.next
	if r.limit == math.MaxUint64 {
		r.finish(file, made)
		// A process that was killed leaves in the page cache what it did not live to sync. From here on it
		// counts as accepted, so it has to be as durable as what was acknowledged (I2).
		err = r.log.syncFile(file)
	}
	return errors.Join(err, file.Close())
}

// checkHead reports a damaged head of a segment that holds something. It costs nothing but is worth
// knowing. made is how many bytes the file was made with; 0: unknown.
func (r *replay) checkHead() (made int64) {
	head := make([]byte, segmentHead)
	if r.log.readAt(r.segment, head, 0) == nil && checkHead(head, r.log.kind) == headFine {
		return reserved(head)
	}
	if r.next > r.segment.first {
		r.found.Damaged = append(r.found.Damaged, r.span(0, segmentHead))
	}
	return 0
}

// finish closes the newest segment, of which nobody knows whether the process that wrote it was done: with
// a footer, so that the next start knows, and without the rest of its reservation. A file that ends before
// its reservation without a footer was shortened, unless a write failed just before the process ended.
func (r *replay) finish(file disk.File, made int64) {
	s := r.segment
	if r.closed {
		return
	}
	if s.size < made {
		r.found.Short = append(r.found.Short, r.span(s.size, made))
	}
	if s.torn {
		return
	}
	footer := make([]byte, frameHead)
	newFrame(frameFooter, s.next, 0, nil).put(footer)
	if _, err := file.WriteAt(footer, s.end); err == nil && file.Truncate(s.end+frameHead) == nil {
		r.log.resize(s, s.end+frameHead)
	}
}

// step takes one frame, or passes over damage. It returns false at the end.
func (r *replay) step() bool {
	f, payload, err := r.scan.read(r.off)
	if err == nil && f.first == r.next {
		return r.take(f, payload)
	}
	if err == nil && (f.first >= r.limit || f.kind == frameFooter && f.first > r.next) {
		return r.gap(f)
	}
	if err == nil && f.first > r.next { // a frame before it is gone without a trace
		return r.take(f, payload)
	}
	bad := f
	if !errors.Is(err, errBadBody) || bad.first != r.next {
		bad, payload = frame{}, nil
	}
	payload = slices.Clone(payload)
	at, written := r.scan.resync(r.off+1, r.next, r.limit)
	r.segment.torn = r.segment.torn || written
	switch {
	case at >= 0:
		r.damage(r.off, at, bad, payload)
		r.off = at
		return true
	case r.limit != math.MaxUint64: // whatever is missing before the next segment was acknowledged
		r.damage(r.off, r.segment.size, bad, payload)
		r.next = r.limit
	case r.log.kind == journalLog && bad.kind == frameData && !torn(payload, r.off+frameHead):
		r.damage(r.off, r.off+bad.size(), bad, payload)
		r.next, r.off = bad.next(), r.off+bad.size()
	case written || !errors.Is(err, errNoFrame):
		// I13: nothing valid behind it, so it was never acknowledged: a torn end.
		r.segment.torn = true
		r.found.Torn = append(r.found.Torn, r.span(r.off, r.segment.size))
	}
	return false
}

// torn reports whether a payload at an offset of its file has a sector that was never written: reserved
// space reads as zero. A last frame that is all there and yet does not hold was flipped after it was
// written, so that its events may have been acknowledged, and are counted as lost.
func torn(payload []byte, offset int64) bool {
	if len(payload) > 0 && payload[len(payload)-1] == 0 {
		return true // a short write stops anywhere, not only between sectors
	}
	for len(payload) > 0 {
		n := min(tornBytes-offset%tornBytes, int64(len(payload)))
		if zero(payload[:n]) {
			return true
		}
		payload, offset = payload[n:], offset+n
	}
	return false
}

// take hands a sound frame on.
func (r *replay) take(f frame, payload []byte) bool {
	at := r.off
	r.next, r.off = f.next(), r.off+f.size()
	if f.kind == frameFooter {
		r.closed = true
		return false
	}
	r.visit(r.segment, f, at, payload, true)
	return true
}

// gap handles a footer or a superseded frame behind a hole in the numbers.
func (r *replay) gap(f frame) bool {
	if f.kind == frameFooter && f.first <= r.limit {
		r.next, r.off, r.closed = f.first, r.off+f.size(), true
	}
	return false
}

// damage books a range that held something that was acknowledged.
func (r *replay) damage(from, to int64, bad frame, payload []byte) {
	span := r.span(from, to)
	span.Events = uint64(bad.count)
	r.found.Damaged = append(r.found.Damaged, span)
	r.quarantine.keepRange(r.log, r.segment, from, to)
	if bad.kind == frameData && payload != nil {
		r.visit(r.segment, bad, from, payload, false)
	}
}

func (r *replay) span(from, to int64) Range {
	return Range{File: filepath.Join(r.log.dir, r.segment.name()), Offset: from, Bytes: to - from}
}
