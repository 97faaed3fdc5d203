package wal

import "errors"

// step is the result of Follower.Step.
type step uint8

const (
	AtEnd      step = iota // everything durable was read
	AtFrame                // Frame, Payload and At are set
	AtSegment              // the follower entered the next segment
	AtReleased             // the next segment was removed: its entries were not needed any more
	AtDamage               // damage, which is quarantined: its content is lost
)

// Follower reads the frames of a log in order, from segment to segment, as the log grows. It is for one goroutine.
type Follower struct {
	reader
	follows *Log

	off     int64 // where the next frame is
	Frame   Frame
	Payload []byte // valid until the next step
	At      int64  // offset of the frame
	UpTo    uint64 // after AtDamage or AtReleased: entries below this sequence number are not available; 0: the next frame tells
}

// NewFollower returns a follower of a log.
func NewFollower(l *Log) Follower { return Follower{follows: l} }

// Step takes the next step. low is the least sequence number that is still needed. After an error nothing has changed, and Step
// may be called again.
func (w *Follower) Step(low uint64) (step, error) {
	for {
		if w.Segment == nil {
			first := w.follows.holding(low)
			if first == nil {
				return AtEnd, nil
			}
			return w.enter(first)
		}
		end, reach, following := w.follows.extent(w.Segment)
		if w.off >= end {
			if following == nil {
				return AtEnd, nil
			}
			return w.enter(following)
		}
		w.scan.size = end // I2: only what is durable
		f, payload, err := w.read(w.off)
		if inFile(err) {
			return w.pass(low, end, reach)
		}
		if err != nil {
			return AtEnd, err
		}
		w.Frame, w.Payload, w.At = f, payload, w.off
		w.off += f.Size()
		if f.kind == FrameData && (following == nil || f.First < following.First) { // otherwise a footer, or superseded (I6)
			return AtFrame, nil
		}
	}
}

// enter continues with a segment.
func (w *Follower) enter(s *Segment) (step, error) {
	end, reach, _ := w.follows.extent(s)
	err := w.open(w.follows, s, end)
	if err == nil {
		w.off = SegmentHead
		return AtSegment, nil
	}
	if !errors.Is(err, ErrReleased) {
		return AtEnd, err
	}
	w.log, w.Segment, w.off, w.UpTo = w.follows, s, end, reach
	return AtReleased, nil
}

// pass moves past damage that appeared after recovery, to the next valid frame or to the end of what is durable in the segment.
// The bytes in between are quarantined first.
func (w *Follower) pass(low uint64, end int64, reach uint64) (step, error) {
	to, _, err := w.resync(w.off+1, low, reach)
	if err != nil {
		return AtEnd, err
	}
	upTo := uint64(0)
	if to < 0 {
		to, upTo = end, reach
	}
	if err := w.follows.KeepRange(w.Segment, w.off, to); err != nil {
		return AtEnd, err
	}
	w.off, w.UpTo = to, upTo
	return AtDamage, nil
}

// Close closes the file. The next step opens it again, at the beginning of its segment.
func (w *Follower) Close() error {
	w.Segment = nil
	return w.reader.close()
}
