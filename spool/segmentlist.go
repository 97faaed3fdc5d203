package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
)

// lastSegment is the limit of a segment behind which there is no other.
const lastSegment = uint64(math.MaxUint64)

// SegmentState is how a segment ends.
type SegmentState string

// The states of a segment.
const (
	SegmentActive     SegmentState = "active"     // the newest one, of a directory in use
	SegmentClosed     SegmentState = "closed"     // in good order
	SegmentOpen       SegmentState = "open"       // it ends without a footer: a crash, or an error of the disk
	SegmentSuperseded SegmentState = "superseded" // a later one begins with the same number
	SegmentGone       SegmentState = "gone"       // removed while this went on
)

// Segment is a file of one of the logs.
type Segment struct {
	File   string // relative to the data directory
	First  uint64 // the sequence number it begins with: a Position in the journal
	Next   uint64 // the number behind its last entry
	Frames int
	Bytes  int64 // of head and frames
	Size   int64 // allocated
	State  SegmentState
}

// ListSegments calls each with every segment of the three logs, oldest first in each, as it goes. It reads
// the heads of frames only; payloads are for Verify. It changes nothing and takes no lock. It ends early with
// ctx's error, or with that of each.
func ListSegments(ctx context.Context, o InspectOptions, each func(Segment) error) error {
	o, err := o.checked()
	if err != nil {
		return err
	}
	running, _, err := inUse(o)
	if err != nil {
		return err
	}
	s, _ := lookingAt(ctx, o)
	for _, l := range s.logs() {
		if err := l.list(s.quarantine, &Recovery{}); err != nil {
			return fmt.Errorf("spool: read %s: %w", l.dir, err)
		}
		for i, segment := range l.segments {
			listed, err := l.describe(segment)
			if err != nil {
				return fmt.Errorf("spool: read %s: %w", listed.File, err)
			}
			switch last := i+1 == len(l.segments); {
			case last && running && listed.State == SegmentOpen:
				listed.State = SegmentActive
			case !last && listed.State != SegmentGone && l.segments[i+1].first <= listed.First:
				listed.State = SegmentSuperseded
			}
			if err := each(listed); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe walks over the heads of a segment's frames.
func (l *segmentLog) describe(s *segment) (Segment, error) {
	d := Segment{File: filepath.Join(l.dir, s.name()), First: s.first, Next: s.first, Size: s.size, State: SegmentOpen}
	file, err := l.openSegment(s)
	if errors.Is(err, fs.ErrNotExist) {
		d.State = SegmentGone
		return d, nil
	}
	if err != nil {
		return d, err
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, frameHead)
	for d.Bytes = min(segmentHead, s.size); d.Bytes+frameHead <= s.size; {
		if err := readFull(file, head, d.Bytes); err != nil {
			return d, l.trouble(s, span{d.Bytes, frameHead}, err)
		}
		f, ok := parseFrame(head)
		if !ok {
			break
		}
		d.Bytes += f.size()
		if f.kind == frameFooter {
			d.State = SegmentClosed
			break
		}
		d.Frames, d.Next = d.Frames+1, f.next()
	}
	return d, nil
}
