package spool

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"

	"github.com/reporterd/reporterd/spool/disk"
)

// tornBytes is what a disk writes whole or not at all.
const tornBytes = 512

// visit is called for every frame in order. whole is false when the payload's checksum does not hold, and
// it stands before something that was acknowledged: then only records with checksums of their own count.
type visit func(s *segment, f frame, offset int64, payload []byte, whole bool)

// open lists the segments of a log and replays them: every frame that was acknowledged, and none that was
// superseded (I6). It streams, and fails when something cannot be read or set aside (I17): then nothing is known of what
// comes after, and a log that went on from here would supersede it.
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
		r := l.replay(s, limit, found, q, visit)
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
				_ = l.fs.Remove(l.path(spareName)) // made anew: what is in it is unknown
			}
			continue
		}
		s := &segment{first: first, try: try, size: e.Size, end: segmentHead, next: first}
		foreign, err := l.foreign(s)
		if err != nil {
			return err
		}
		if foreign {
			l.setAside(s, q, found)
			continue
		}
		l.quota.take(s.size)
		l.segments = append(l.segments, s)
	}
	slices.SortFunc(l.segments, func(a, b *segment) int {
		return cmp.Or(cmp.Compare(a.first, b.first), cmp.Compare(a.try, b.try))
	})
	return nil
}

// foreign reports whether the head of a file says that it is of another version or another log.
func (l *segmentLog) foreign(s *segment) (bool, error) {
	if s.size < segmentHead {
		return false, nil
	}
	head := make([]byte, segmentHead)
	if err := l.readAt(s, head, 0); err != nil {
		return false, err
	}
	return checkHead(head, l.kind) == headForeign || s.misnamed(head, l.kind), nil
}

// setAside leaves a file of another format out of the log. repair moves it to quarantine/.
func (l *segmentLog) setAside(s *segment, q *quarantine, found *Recovery) {
	kept := filepath.Join(quarantineDir, l.dir+"-"+s.name())
	found.Refused = append(found.Refused, fmt.Sprintf("%s: %s, not read, kept %s", filepath.Join(l.dir, s.name()), l.whyForeign(s), kept))
	l.repairs = append(l.repairs, func() error { return q.keepFile(l, s, kept) })
}

// repair makes the changes that reading the log called for. It is called once everything of the directory was read: a start
// that fails before has changed nothing (I17). A crash between two of them leaves what the next start finds again.
func (l *segmentLog) repair() error {
	for _, change := range l.repairs {
		if err := change(); err != nil {
			return fmt.Errorf("spool: recover %s: %w", l.dir, err)
		}
	}
	l.repairs = nil
	return nil
}

// replay reads one segment at start.
type replay struct {
	reader
	limit      uint64 // the next segment's first: what is here from there on was superseded
	found      *Recovery
	quarantine *quarantine
	visit      visit

	off  int64
	next uint64

	closed bool // a footer was read
}

func (l *segmentLog) replay(s *segment, limit uint64, found *Recovery, q *quarantine, visit visit) *replay {
	return &replay{reader: reader{log: l, segment: s}, limit: limit, found: found, quarantine: q, visit: visit}
}

// run reads the segment. Until all of it was read, and what is damaged set aside, nothing of the file or of what is
// known of it is changed: an error ends the start, and the next one finds the same (I17).
func (r *replay) run() error {
	s := r.segment
	if err := r.open(r.log, s, s.size); err != nil {
		return err
	}
	defer func() { _ = r.close() }() // opened for reading
	r.next, r.off = s.first, min(segmentHead, s.size)
	for more := true; more && r.next < r.limit; {
		var err error
		if more, err = r.step(); err != nil {
			return err
		}
	}
	made, err := r.checkHead()
	if err != nil {
		return err
	}
	s.end, s.next = max(r.off, segmentHead), r.next
	if r.limit == math.MaxUint64 {
		if !r.closed && s.size < made { // unless a write failed just before the process ended, it was shortened
			r.found.Short = append(r.found.Short, r.span(s.size, made))
		}
		r.log.repairs = append(r.log.repairs, r.closeNewest)
	}
	return nil
}

// checkHead reports a damaged head of a segment that holds something. It costs nothing but is worth
// knowing. made is how many bytes the file was made with; 0: unknown.
func (r *replay) checkHead() (made int64, err error) {
	state, made, err := r.head(r.log.kind)
	if err == nil && state != headFine && r.next > r.segment.first {
		r.found.Damaged = append(r.found.Damaged, r.span(0, segmentHead))
	}
	return made, err
}

// settle ends the newest segment, and makes it durable.
func (r *replay) closeNewest() error {
	file, err := r.log.fs.OpenFile(r.log.path(r.segment.name()), os.O_RDWR, 0)
	if err != nil {
		return r.log.trouble(r.segment, span{}, err)
	}
	r.finish(file)
	// A process that was killed leaves in the page cache what it did not live to sync. From here on it
	// counts as accepted, so it has to be as durable as what was acknowledged (I2).
	err = r.log.syncFile(file)
	return errors.Join(err, file.Close())
}

// finish closes the newest segment, whose process may have been killed: with a footer, so that the next start knows its
// end, and without the rest of its reservation.
func (r *replay) finish(file disk.File) {
	s := r.segment
	if r.closed || s.torn {
		return
	}
	footer := make([]byte, frameHead)
	newFrame(frameFooter, s.next, 0, nil).put(footer)
	if _, err := file.WriteAt(footer, s.end); err == nil && file.Truncate(s.end+frameHead) == nil {
		r.log.resize(s, s.end+frameHead)
	}
}

// step takes one frame, or passes over damage. It returns false at the end.
func (r *replay) step() (more bool, err error) {
	f, payload, err := r.read(r.off)
	if err == nil && f.first == r.next {
		return r.take(f, payload), nil
	}
	if err == nil && (f.first >= r.limit || f.kind == frameFooter && f.first > r.next) {
		return r.gap(f), nil
	}
	if err == nil && f.first > r.next { // a frame before it is gone without a trace
		return r.take(f, payload), nil
	}
	if err != nil && !inFile(err) {
		return false, err
	}
	bad := f
	if !errors.Is(err, errBadBody) || bad.first != r.next {
		bad, payload = frame{}, nil
	}
	return r.pass(bad, slices.Clone(payload), errors.Is(err, errNoFrame))
}

// pass judges what is no frame, by what is behind it. bad is the head of a frame whose payload does not hold, if there
// is one; empty says that there was nothing at all.
func (r *replay) pass(bad frame, payload []byte, empty bool) (more bool, err error) {
	at, written, err := r.resync(r.off+1, r.next, r.limit)
	if err != nil {
		return false, err
	}
	switch {
	case at >= 0:
		err = r.damage(r.off, at, bad, payload)
		r.off = at
		more = true
	case r.limit != math.MaxUint64: // what is missing before the next segment was acknowledged
		err = r.damage(r.off, r.segment.size, bad, payload)
		r.next = r.limit
	case r.log.kind == journalLog && bad.kind == frameData && !torn(payload, r.off+frameHead):
		err = r.damage(r.off, r.off+bad.size(), bad, payload)
		r.next, r.off = bad.next(), r.off+bad.size()
	case written || !empty:
		// I13: nothing valid behind it, so it was never acknowledged: a torn end.
		r.segment.torn = true
		r.found.Torn = append(r.found.Torn, r.span(r.off, r.segment.size))
	}
	r.segment.torn = r.segment.torn || written
	return more, err
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

// damage sets a range aside that held something that was acknowledged, then books it.
func (r *replay) damage(from, to int64, bad frame, payload []byte) error {
	if err := r.quarantine.keepRange(r.log, r.segment, from, to); err != nil {
		return err
	}
	span := r.span(from, to)
	span.Events = uint64(bad.count)
	r.found.Damaged = append(r.found.Damaged, span)
	if bad.kind == frameData && payload != nil {
		r.visit(r.segment, bad, from, payload, false)
	}
	return nil
}

func (r *replay) span(from, to int64) Range {
	return Range{File: filepath.Join(r.log.dir, r.segment.name()), Offset: from, Bytes: to - from}
}
