package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"sync/atomic"
)

const (
	segmentHead    = 32 // bytes
	segmentVersion = 1
	segmentMagic   = "reporter"
	segmentSuffix  = ".seg"
	spareName      = "spare"
)

// logKind tells the three logs apart, also inside their files.
type logKind uint8

const (
	journalLog logKind = 1
	batchesLog logKind = 2
	idsLog     logKind = 3
)

// segment is one file of a log. size, end, next, released, removed and ended are guarded by segmentLog.mu.
type segment struct {
	first uint64 // sequence number it begins with
	try   uint32 // how many segments before it began with the same one

	size int64  // bytes allocated
	end  int64  // frames up to here are durable and may be read
	next uint64 // sequence number behind those frames
	torn bool   // bytes behind end are not zero: they are left alone

	released bool // nothing in it is needed any more, and its file may be gone
	removed  bool // this process removed its file, or tried to

	ended uint64 // batch log: a sequence number behind the record that ended its last batch; 0: unknown

	refs   atomic.Int32 // batch log: live or staged batches whose record is here
	newest atomic.Int64 // ids: Unix seconds of the newest id here
}

// name returns the file's name: it says all that the head says, so that a damaged head costs nothing.
func (s *segment) name() string { return fmt.Sprintf("%020d-%04d%s", s.first, s.try, segmentSuffix) }

// parseSegmentName reads what name wrote.
func parseSegmentName(name string) (first uint64, try uint32, ok bool) {
	if !strings.HasSuffix(name, segmentSuffix) {
		return 0, 0, false
	}
	if _, err := fmt.Sscanf(name, "%d-%d"+segmentSuffix, &first, &try); err != nil {
		return 0, 0, false
	}
	s := segment{first: first, try: try}
	return first, try, s.name() == name
}

// putHead writes the head of a segment file into dst.
func (s *segment) putHead(dst []byte, kind logKind) {
	copy(dst, segmentMagic)
	binary.LittleEndian.PutUint16(dst[8:], segmentVersion)
	dst[10], dst[11] = byte(kind), 0
	binary.LittleEndian.PutUint32(dst[12:], s.try)
	binary.LittleEndian.PutUint64(dst[16:], s.first)
	binary.LittleEndian.PutUint32(dst[24:], uint32(min(s.size, math.MaxUint32)))
	binary.LittleEndian.PutUint32(dst[28:], crc32.Checksum(dst[:28], castagnoli))
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
func checkHead(src []byte, kind logKind) headState {
	if string(src[:8]) != segmentMagic || binary.LittleEndian.Uint32(src[28:]) != crc32.Checksum(src[:28], castagnoli) {
		return headDamaged
	}
	if binary.LittleEndian.Uint16(src[8:]) != segmentVersion || src[10] != byte(kind) {
		return headForeign
	}
	return headFine
}

// misnamed reports whether a sound head says another number than the name: the file is a copy of another one.
func (s *segment) misnamed(head []byte, kind logKind) bool {
	return checkHead(head, kind) == headFine &&
		(binary.LittleEndian.Uint64(head[16:]) != s.first || binary.LittleEndian.Uint32(head[12:]) != s.try)
}
