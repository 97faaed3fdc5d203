package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/reporterd/reporterd/spool/wal"
)

// SegmentState is how a segment ends.
type SegmentState string

// The states of a segment.
const (
	SegmentActive     SegmentState = "active"     // the newest one, of a directory in use
	SegmentClosed     SegmentState = "closed"     // in good order
	SegmentOpen       SegmentState = "open"       // ends without a footer, after a crash or a disk error
	SegmentSuperseded SegmentState = "superseded" // a later one begins with the same number
	SegmentGone       SegmentState = "gone"       // removed while the list was made
)

// Segment is a file of one of the logs.
type Segment struct {
	File   string // relative to the data directory
	First  uint64 // the sequence number it begins with: a Position in the journal
	Next   uint64 // the number after its last entry
	Frames int
	Bytes  int64 // of head and frames
	Size   int64 // allocated
	State  SegmentState
}

// ListSegments calls each with every segment of the three logs, oldest first in each, while it reads. It reads only the heads of
// frames; Verify reads payloads. It changes nothing and takes no lock. It ends early with ctx's error, or with an error of each.
func ListSegments(ctx context.Context, o InspectOptions, each func(Segment) error) error {
	o, err := o.checked()
	if err != nil {
		return err
	}
	running, _, err := inUse(o)
	if err != nil {
		return err
	}
	s, _ := openReadOnly(ctx, o)
	for _, l := range s.logs() {
		if err := l.List(&wal.Findings{}); err != nil {
			return fmt.Errorf("spool: read %s: %w", l.Dir, err)
		}
		segments := l.All()
		for i, segment := range segments {
			listed, err := describe(l, segment)
			if err != nil {
				return fmt.Errorf("spool: read %s: %w", listed.File, err)
			}
			switch last := i+1 == len(segments); {
			case last && running && listed.State == SegmentOpen:
				listed.State = SegmentActive
			case !last && listed.State != SegmentGone && segments[i+1].First <= listed.First:
				listed.State = SegmentSuperseded
			}
			if err := each(listed); err != nil {
				return err
			}
		}
	}
	return nil
}

// describe turns the outline of a segment into a Segment.
func describe(l *wal.Log, s *wal.Segment) (Segment, error) {
	o, err := l.Outline(s)
	d := Segment{File: filepath.Join(l.Dir, s.Name()), First: s.First, Next: o.Next, Frames: o.Frames, Bytes: o.Bytes, Size: s.Size, State: SegmentOpen}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.State, err = SegmentGone, nil
	case o.Closed:
		d.State = SegmentClosed
	}
	return d, err
}
