package wal

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"sync/atomic"
)

const (
	SegmentHead    = 32 // bytes
	segmentVersion = 1
	segmentMagic   = "reporter"
	SegmentSuffix  = ".seg"
	SpareName      = "spare"
)

// Kind tells the three logs apart, also inside their files.
type Kind uint8

const (
	Journal Kind = 1
	Batches Kind = 2
	IDs     Kind = 3
)

// Segment is one file of a log. size, end, next, released and removed are guarded by Log.mu.
type Segment struct {
	First uint64 // sequence number it begins with
	Try   uint32 // how many segments before it began with the same one

	Size int64  // bytes allocated
	end  int64  // frames up to here are durable and may be read
	next uint64 // sequence number behind those frames
	torn bool   // bytes behind end are not zero: they are left alone

	released bool // nothing in it is needed any more, and its file may be gone
	removed  bool // this process removed its file, or tried to

	Pins atomic.Int32 // how many entries in it the log's owner still needs
	Mark atomic.Int64 // the owner's own: what it has to know to let the segment go
}

// Name returns the file's name: it says all that the head says, so that a damaged head costs nothing.
func (s *Segment) Name() string { return fmt.Sprintf("%020d-%04d%s", s.First, s.Try, SegmentSuffix) }

// ParseSegmentName reads what name wrote.
func ParseSegmentName(name string) (first uint64, try uint32, ok bool) {
	if !strings.HasSuffix(name, SegmentSuffix) {
		return 0, 0, false
	}
	if _, err := fmt.Sscanf(name, "%d-%d"+SegmentSuffix, &first, &try); err != nil {
		return 0, 0, false
	}
	s := Segment{First: first, Try: try}
	return first, try, s.Name() == name
}

// PutHead writes the head of a segment file into dst.
func (s *Segment) PutHead(dst []byte, kind Kind) {
	copy(dst, segmentMagic)
	binary.LittleEndian.PutUint16(dst[8:], segmentVersion)
	dst[10], dst[11] = byte(kind), 0
	binary.LittleEndian.PutUint32(dst[12:], s.Try)
	binary.LittleEndian.PutUint64(dst[16:], s.First)
	binary.LittleEndian.PutUint32(dst[24:], uint32(min(s.Size, math.MaxUint32)))
	binary.LittleEndian.PutUint32(dst[28:], crc32.Checksum(dst[:28], checksums))
}

// reserved reads from a sound head how many bytes the file was made with; 0: unknown.
func reserved(head []byte) int64 { return int64(binary.LittleEndian.Uint32(head[24:])) }

// headState is what a segment's head says about the file.
type headState uint8

const (
	headFine    headState = iota
	headDamaged           // frames are still looked for: the name says what the head said
	headForeign           // of another version or another log: not ours to read
)

// checkHead judges a head by its checksum first, and only then by what it says: a version we do not know
// is not damage.
func checkHead(src []byte, kind Kind) headState {
	if string(src[:8]) != segmentMagic || binary.LittleEndian.Uint32(src[28:]) != crc32.Checksum(src[:28], checksums) {
		return headDamaged
	}
	if binary.LittleEndian.Uint16(src[8:]) != segmentVersion || src[10] != byte(kind) {
		return headForeign
	}
	return headFine
}

// misnamed reports whether a sound head says another number than the name: the file is a copy of another one.
func (s *Segment) misnamed(head []byte, kind Kind) bool {
	return checkHead(head, kind) == headFine &&
		(binary.LittleEndian.Uint64(head[16:]) != s.First || binary.LittleEndian.Uint32(head[12:]) != s.Try)
}
