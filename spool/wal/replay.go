package wal

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
)

// tornBytes is the size of a sector: a disk writes it completely or not at all.
const tornBytes = 512

// visit is called for every frame in order. whole is false when the payload's checksum does not hold although an acknowledged
// frame follows: then only records with their own checksums count.
type visit func(s *Segment, f Frame, offset int64, payload []byte, whole bool)

// Open lists the segments of a log and replays them: every frame that was acknowledged, and none that was superseded (I6). It
// reads one frame at a time. It fails when something cannot be read or quarantined (I17): the entries after that are unknown
// then, and a log that continued here would supersede them.
func (l *Log) Open(from uint64, found *Findings, visit visit) error {
	if err := l.List(found); err != nil {
		return fmt.Errorf("spool: read %s: %w", l.Dir, err)
	}
	l.next = 1
	for i, s := range l.segments {
		limit := NoLimit
		if i+1 < len(l.segments) {
			limit = l.segments[i+1].First
		}
		if s.First > l.next {
			l.next = s.First
		}
		if i+1 < len(l.segments) && limit <= from {
			s.end, s.next = s.Size, limit // all of it is in a cut: it is about to be removed
			continue
		}
		r := l.replay(s, limit, found, visit)
		if err := r.run(); err != nil {
			return fmt.Errorf("spool: read %s: %w", l.Dir, err)
		}
		l.next = max(l.next, s.next)
	}
	return nil
}

// List finds the segments, in order. Files of another format are left out and quarantined by Repair; files with other names are
// ignored.
func (l *Log) List(found *Findings) error {
	entries, err := l.FS.ReadDir(filepath.Join(l.Root, l.Dir))
	if err != nil {
		return err
	}
	for _, e := range entries {
		first, try, ok := ParseSegmentName(e.Name)
		if !ok {
			if e.Name == SpareName {
				_ = l.FS.Remove(l.path(SpareName)) // recreated later: its content is unknown
			}
			continue
		}
		s := &Segment{First: first, Try: try, Size: e.Size, end: SegmentHead, next: first}
		foreign, err := l.foreign(s)
		if err != nil {
			return err
		}
		if foreign {
			l.setAside(s, found)
			continue
		}
		l.Quota.Take(s.Size)
		l.segments = append(l.segments, s)
	}
	slices.SortFunc(l.segments, func(a, b *Segment) int {
		return cmp.Or(cmp.Compare(a.First, b.First), cmp.Compare(a.Try, b.Try))
	})
	return nil
}

// foreign reports whether the head of a file says that it is of another version or another log.
func (l *Log) foreign(s *Segment) (bool, error) {
	if s.Size < SegmentHead {
		return false, nil
	}
	head := make([]byte, SegmentHead)
	if err := l.readAt(s, head, 0); err != nil {
		return false, err
	}
	return checkHead(head, l.Kind) == headForeign || s.misnamed(head, l.Kind), nil
}

// setAside leaves a file of another format out of the log. Repair moves it to quarantine/.
func (l *Log) setAside(s *Segment, found *Findings) {
	kept := filepath.Join(QuarantineDir, l.Dir+"-"+s.Name())
	found.Refused = append(found.Refused, fmt.Sprintf("%s: %s, not read, kept %s", filepath.Join(l.Dir, s.Name()), l.whyForeign(s), kept))
	l.repairs = append(l.repairs, func() error { return l.Quarantine.keepFile(l, s, kept) })
}

// Repair makes the changes that Open found necessary. It is called after the whole directory was read: a start that fails before
// has changed nothing (I17). After a crash between two changes the next start finds the rest again.
func (l *Log) Repair() error {
	if l.ReadOnly {
		return nil
	}
	for _, change := range l.repairs {
		if err := change(); err != nil {
			return fmt.Errorf("spool: recover %s: %w", l.Dir, err)
		}
	}
	l.repairs = nil
	return nil
}

// replay reads one segment at a start.
type replay struct {
	reader
	limit uint64 // the next segment's first number: entries from there on are superseded
	found *Findings
	visit visit

	off  int64
	next uint64

	closed    bool    // a footer was read
	uncertain []int64 // offsets of the frames that are not known to be durable
}

func (l *Log) replay(s *Segment, limit uint64, found *Findings, visit visit) *replay {
	return &replay{reader: reader{log: l, Segment: s}, limit: limit, found: found, visit: visit}
}

// run reads the segment. Until all of it was read, and damage quarantined, neither the file nor the segment's figures are
// changed: an error ends the start, and the next one finds the same (I17).
func (r *replay) run() error {
	s := r.Segment
	if err := r.open(r.log, s, s.Size); err != nil {
		return err
	}
	defer func() { _ = r.close() }() // opened for reading
	r.next, r.off = s.First, min(SegmentHead, s.Size)
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
	s.end, s.next = max(r.off, SegmentHead), r.next
	if r.limit == NoLimit {
		if !r.closed && s.Size < made { // unless a write failed just before the process ended, the file was truncated
			r.found.Short = append(r.found.Short, r.span(s.Size, made))
		}
		r.log.repairs = append(r.log.repairs, r.closeNewest)
	}
	return nil
}

// checkHead reports a damaged head of a segment with entries. No data depends on the head, but an operator should know. made is
// the size with which the file was made; 0: unknown.
func (r *replay) checkHead() (made int64, err error) {
	state, made, err := r.head(r.log.Kind)
	if err == nil && state != headFine && r.next > r.Segment.First {
		r.found.Damaged = append(r.found.Damaged, r.span(0, SegmentHead))
	}
	return made, err
}

// step takes one frame, or moves past damage. It returns false at the end.
func (r *replay) step() (more bool, err error) {
	f, payload, err := r.read(r.off)
	if err == nil && f.First == r.next {
		return r.take(f, payload), nil
	}
	if err == nil && (f.First >= r.limit || f.kind == frameFooter && f.First > r.next) {
		return r.gap(f), nil
	}
	if err == nil && f.First > r.next { // a frame before it is missing
		return r.take(f, payload), nil
	}
	if err != nil && !inFile(err) {
		return false, err
	}
	bad := f
	if !errors.Is(err, errBadBody) || bad.First != r.next {
		bad, payload = Frame{}, nil
	}
	return r.pass(bad, slices.Clone(payload), errors.Is(err, errNoFrame))
}

// pass decides what invalid bytes are, by what follows them. bad is the head of a frame whose payload does not hold, if there is
// one; empty says that the bytes are zeros.
func (r *replay) pass(bad Frame, payload []byte, empty bool) (more bool, err error) {
	at, written, err := r.resync(r.off+1, r.next, r.limit)
	if err != nil {
		return false, err
	}
	switch {
	case at >= 0:
		err = r.damage(r.off, at, bad, payload)
		r.off = at
		more = true
	case r.limit != NoLimit: // what is missing before the next segment was acknowledged
		err = r.damage(r.off, r.Segment.Size, bad, payload)
		r.next = r.limit
	case r.log.Kind == Journal && bad.kind == FrameData && !torn(payload, r.off+FrameHead):
		err = r.damage(r.off, r.off+bad.Size(), bad, payload)
		r.next, r.off = bad.Next(), r.off+bad.Size()
	case written || !empty:
		// I13: nothing valid behind it, so it was never acknowledged: a torn end.
		r.Segment.torn = true
		r.found.Torn = append(r.found.Torn, r.span(r.off, r.Segment.Size))
	}
	r.Segment.torn = r.Segment.torn || written
	return more, err
}

// torn reports whether a payload at an offset of its file contains a sector that was never written: reserved space reads as
// zeros. If all sectors of the last frame are written and its checksum does not hold, bits changed after the write: its events
// may have been acknowledged, and are counted as lost.
func torn(payload []byte, offset int64) bool {
	if len(payload) > 0 && payload[len(payload)-1] == 0 {
		return true // a short write may stop within a sector
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

// take passes a valid frame to visit.
func (r *replay) take(f Frame, payload []byte) bool {
	at := r.off
	r.next, r.off = f.Next(), r.off+f.Size()
	if r.limit == NoLimit && at >= r.log.trustedEnd(r.Segment) {
		r.uncertain = append(r.uncertain, at)
	}
	if f.kind == frameFooter {
		r.closed = true
		return false
	}
	r.visit(r.Segment, f, at, payload, true)
	return true
}

// gap handles a footer or a superseded frame after a hole in the numbers.
func (r *replay) gap(f Frame) bool {
	if f.kind == frameFooter && f.First <= r.limit {
		r.next, r.off, r.closed = f.First, r.off+f.Size(), true
	}
	return false
}

// damage quarantines a range that contained acknowledged entries, then records it.
func (r *replay) damage(from, to int64, bad Frame, payload []byte) error {
	if err := r.log.KeepRange(r.Segment, from, to); err != nil {
		return err
	}
	span := r.span(from, to)
	span.Events = uint64(bad.count)
	r.found.Damaged = append(r.found.Damaged, span)
	if bad.kind == FrameData && payload != nil {
		r.visit(r.Segment, bad, from, payload, false)
	}
	return nil
}

func (r *replay) span(from, to int64) Range {
	return Range{File: filepath.Join(r.log.Dir, r.Segment.Name()), Offset: from, Bytes: to - from}
}

// whyForeign returns why a file does not belong to this log.
func (l *Log) whyForeign(s *Segment) string {
	head := make([]byte, SegmentHead)
	if l.readAt(s, head, 0) == nil && s.misnamed(head, l.Kind) {
		first, try := binary.LittleEndian.Uint64(head[16:]), binary.LittleEndian.Uint32(head[12:])
		return "a copy of " + (&Segment{First: first, Try: try}).Name() + " under another name"
	}
	return "written by another version of reporterd"
}
