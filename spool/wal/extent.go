package wal

// Extent describes how far a log goes.
type Extent struct {
	First, Last       uint64 // first sequence number of its oldest and newest segment
	FirstTry, LastTry uint32
	Segments          uint32
	Next              uint64 // the sequence number after the last durable one
	End               int64  // bytes of frames in the newest segment
}

// Numbers is a range of sequence numbers, first to last. It is empty if Last is less than First.
type Numbers struct{ First, Last uint64 }

// Extent returns how far the log goes, in the form that the manifest stores.
func (l *Log) Extent() Extent {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.extentOfLocked(l.segments)
}

// extentOfLocked returns the extent of some segments.
func (l *Log) extentOfLocked(segments []*Segment) Extent {
	e := Extent{Next: l.next, Segments: uint32(len(segments))}
	if n := len(segments); n > 0 {
		first, last := segments[0], segments[n-1]
		e.First, e.FirstTry, e.Last, e.LastTry, e.End = first.First, first.Try, last.First, last.Try, last.end
	}
	return e
}

// Holes returns the ranges that are missing between the segments of a log, and after the last one.
func (l *Log) Holes() (found []Numbers) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reached := uint64(1)
	for i, s := range l.segments {
		if i > 0 && s.First > reached {
			found = append(found, Numbers{reached, s.First - 1})
		}
		reached = max(reached, s.next)
	}
	if l.next > reached {
		found = append(found, Numbers{reached, l.next - 1})
	}
	return found
}

// Ranges returns the range of each segment, oldest first.
func (l *Log) Ranges() (held []Numbers) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		held = append(held, Numbers{s.First, s.next - 1})
	}
	return held
}
