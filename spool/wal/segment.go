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

// Kind identifies one of the three logs, also inside their files.
type Kind uint8

const (
	Journal Kind = 1
	Batches Kind = 2
	IDs     Kind = 3
)

// Segment is one file of a log. Size, end, next, released and removed are guarded by Log.mu.
type Segment struct {
	First uint64 // sequence number it begins with
	Try   uint32 // how many earlier segments begin with the same number

	Size int64  // bytes allocated
	end  int64  // frames up to here are durable and may be read
	next uint64 // sequence number behind those frames
	torn bool   // bytes after end are not zero; they are kept

	released bool // its entries are not needed any more, and its file may be gone
	removed  bool // this process removed its file, or tried to

	Pins         atomic.Int32 // how many of its entries the log's owner still needs
	ReleaseAfter atomic.Int64 // belongs to the owner, who decides by it when the segment can be removed
}

// Name returns the file's name. It contains everything that the head contains, so no data is lost with a damaged head.
func (s *Segment) Name() string { return fmt.Sprintf("%020d-%04d%s", s.First, s.Try, SegmentSuffix) }

// ParseSegmentName parses the result of Name.
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

// reserved returns, from a valid head, the size with which the file was made; 0: unknown.
func reserved(head []byte) int64 { return int64(binary.LittleEndian.Uint32(head[24:])) }

// headState is what a segment's head says about the file.
type headState uint8

const (
	headFine    headState = iota
	headDamaged           // frames are read anyway: the name contains what the head contained
	headForeign           // of another version or another log: not read
)

// checkHead checks a head's checksum first, and only then its content: an unknown version is not damage.
func checkHead(src []byte, kind Kind) headState {
	if string(src[:8]) != segmentMagic || binary.LittleEndian.Uint32(src[28:]) != crc32.Checksum(src[:28], checksums) {
		return headDamaged
	}
	if binary.LittleEndian.Uint16(src[8:]) != segmentVersion || src[10] != byte(kind) {
		return headForeign
	}
	return headFine
}

// misnamed reports whether a valid head contains another number than the name: the file is a copy of another one.
func (s *Segment) misnamed(head []byte, kind Kind) bool {
	return checkHead(head, kind) == headFine &&
		(binary.LittleEndian.Uint64(head[16:]) != s.First || binary.LittleEndian.Uint32(head[12:]) != s.Try)
}
