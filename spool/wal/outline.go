package wal

import "math"

// NoLimit is the limit for the last segment.
const NoLimit = uint64(math.MaxUint64)

// outline is the result of Outline.
type outline struct {
	Next   uint64 // the number after its last entry
	Frames int
	Bytes  int64 // of head and frames
	Closed bool  // with a footer
}

// Outline reads the heads of a segment's frames, and no payloads.
func (l *Log) Outline(s *Segment) (o outline, err error) {
	o.Next = s.First
	file, err := l.openSegment(s)
	if err != nil {
		return o, err
	}
	defer func() { _ = file.Close() }() // opened for reading
	head := make([]byte, FrameHead)
	for o.Bytes = min(SegmentHead, s.Size); o.Bytes+FrameHead <= s.Size; {
		if err := readFull(file, head, o.Bytes); err != nil {
			return o, l.readError(s, span{o.Bytes, FrameHead}, err)
		}
		f, ok := ParseFrame(l.Kind, head)
		if !ok {
			break
		}
		o.Bytes += f.Size()
		if f.kind == frameFooter {
			o.Closed = true
			break
		}
		o.Frames, o.Next = o.Frames+1, f.Next()
	}
	return o, nil
}

// scanned is the result of Scan.
type scanned struct {
	Found      Findings
	Next       uint64 // the number after its last entry
	Superseded int64  // bytes of frames at its end that a later segment contains again
}

// Scan reads a segment as a start does, and changes nothing. limit is the first sequence number of the next segment, or NoLimit.
func (l *Log) Scan(s *Segment, limit uint64, visit visit) (r scanned, err error) {
	copied := &Segment{First: s.First, Try: s.Try, Size: s.Size, end: SegmentHead, next: s.First}
	reading := l.replay(copied, limit, &r.Found, visit)
	if err = reading.run(); err != nil {
		return r, err
	}
	if r.Next = copied.next; limit != NoLimit && r.Next >= limit {
		r.Superseded, err = l.superseded(copied, reading.off)
	}
	return r, err
}

// superseded returns how many bytes of frames from an offset on a later segment contains again.
func (l *Log) superseded(s *Segment, off int64) (bytes int64, err error) {
	var r reader
	if err := r.open(l, s, s.Size); err != nil {
		return 0, err
	}
	defer func() { _ = r.close() }() // opened for reading
	for {
		f, _, err := r.read(off)
		if inFile(err) || err == nil && f.kind != FrameData {
			return bytes, nil
		}
		if err != nil {
			return bytes, err
		}
		off, bytes = off+f.Size(), bytes+f.Size()
	}
}
