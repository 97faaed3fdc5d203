package wal

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// HeadSum returns the checksum of a frame's head. The head contains the payload's checksum, so two frames with the same sum have
// the same sequence numbers and the same records.
func (f Frame) HeadSum() uint32 {
	var head [FrameHead]byte
	f.Put(head[:])
	return binary.LittleEndian.Uint32(head[28:])
}

// Agreement is the result of Agrees.
type Agreement uint8

// The results of Agrees.
const (
	PlaceHolds   Agreement = iota // the log has the same frame there
	PlaceUnknown                  // the frame was removed in the meantime, or is damaged: nothing contradicts the place
	PlaceDiffers                  // the log ends before it, or has other records there: it lost its end, or is another log
	PlaceMissing                  // the log lost the frame, and its numbers are not used again: a reader can continue there
)

// Agrees compares a place that a reader remembers (the number after the last entry of a frame, and the checksum of its head) with
// the log as it is now. Records written after the end of the log was lost reuse the numbers of the lost ones, so the number alone
// does not tell. It reads the heads of one segment's frames. An error is one of reading: nothing follows from it, and the call
// can be repeated.
func (l *Log) Agrees(next uint64, sum uint32) (Agreement, error) {
	if next <= 1 {
		return PlaceHolds, nil
	}
	if next > l.NextSequence() {
		return PlaceDiffers, nil
	}
	segment := l.holding(next - 1)
	if segment == nil {
		return PlaceUnknown, nil
	}
	if segment.First >= next {
		if l.oldestFirst() < next { // segments are removed oldest first: this one was not removed
			return PlaceMissing, nil
		}
		return PlaceUnknown, nil
	}
	end, reach, following := l.extent(segment)
	if reach < next && following == nil {
		return PlaceMissing, nil // the manifest knows records after the last one that is left
	}
	file, err := l.openSegment(segment)
	if errors.Is(err, ErrReleased) {
		return PlaceUnknown, nil // removed just now
	}
	if err != nil {
		return PlaceUnknown, fmt.Errorf("spool: %w", err)
	}
	defer func() { _ = file.Close() }()
	head := make([]byte, FrameHead)
	for off := int64(SegmentHead); off+FrameHead <= end; {
		if err := readFull(file, head, off); err != nil {
			return PlaceUnknown, fmt.Errorf("spool: %w", l.readError(segment, span{off, FrameHead}, err))
		}
		f, ok := ParseFrame(l.Kind, head)
		if !ok {
			return PlaceUnknown, nil // damage; the follower reports it
		}
		off += f.Size()
		if f.kind != FrameData || f.Next() < next {
			continue
		}
		if f.Next() == next && f.HeadSum() == sum && (following == nil || f.First < following.First) {
			return PlaceHolds, nil
		}
		return PlaceDiffers, nil
	}
	return PlaceDiffers, nil
}
