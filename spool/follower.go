package spool

import "errors"

// step is what a follower came upon.
type step uint8

const (
	atEnd      step = iota // everything durable was read
	atFrame                // frame, payload and at say which
	atSegment              // it entered the next segment
	atReleased             // the next segment was removed: nothing in it was needed
	atDamage               // damage, which is set aside: what was in it is lost
)

// follower reads the frames of a log in their order, as the log grows, from segment to segment. It is for one
// goroutine.
type follower struct {
	reader
	follows    *segmentLog
	quarantine *quarantine

	off     int64 // where the next frame is
	frame   frame
	payload []byte // valid until the next step
	at      int64  // offset of the frame
	upTo    uint64 // after atDamage or atReleased: what is below this sequence number is not to be had; 0: the next frame tells
}

// step takes the next step. low is the least sequence number that is still wanted. After an error nothing has changed,
// and it may be called again.
func (w *follower) step(low uint64) (step, error) {
	for {
		if w.segment == nil {
			first := w.follows.holding(low)
			if first == nil {
				return atEnd, nil
			}
			return w.enter(first)
		}
		end, reach, following := w.follows.extent(w.segment)
		if w.off >= end {
			if following == nil {
				return atEnd, nil
			}
			return w.enter(following)
		}
		w.scan.size = end // I2: only what is durable
		f, payload, err := w.read(w.off)
		if inFile(err) {
			return w.pass(low, end, reach)
		}
		if err != nil {
			return atEnd, err
		}
		w.frame, w.payload, w.at = f, payload, w.off
		w.off += f.size()
		if f.kind == frameData && (following == nil || f.first < following.first) { // else a footer, or superseded (I6)
			return atFrame, nil
		}
	}
}

// enter goes on with a segment.
func (w *follower) enter(s *segment) (step, error) {
	end, reach, _ := w.follows.extent(s)
	err := w.open(w.follows, s, end)
	if err == nil {
		w.off = segmentHead
		return atSegment, nil
	}
	if !errors.Is(err, errReleased) {
		return atEnd, err
	}
	w.log, w.segment, w.off, w.upTo = w.follows, s, end, reach
	return atReleased, nil
}

// pass goes on behind damage that appeared after recovery, to the next sound frame or the end of what is durable in the
// segment, once what lies between is set aside.
func (w *follower) pass(low uint64, end int64, reach uint64) (step, error) {
	to, _, err := w.resync(w.off+1, low, reach)
	if err != nil {
		return atEnd, err
	}
	upTo := uint64(0)
	if to < 0 {
		to, upTo = end, reach
	}
	if err := w.quarantine.keepRange(w.follows, w.segment, w.off, to); err != nil {
		return atEnd, err
	}
	w.off, w.upTo = to, upTo
	return atDamage, nil
}

// close releases the file. The next step opens it again, at the beginning of its segment.
func (w *follower) close() error {
	w.segment = nil
	return w.reader.close()
}
