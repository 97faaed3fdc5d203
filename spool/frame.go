package spool

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	frameMagic uint32 = 0x31465052 // "RPF1", little-endian
	frameHead         = 32         // bytes
	maxFrame          = 64 << 20   // payload bytes; what a reader allocates at most
)

// frameKind tells what a frame is for.
type frameKind uint8

const (
	frameData   frameKind = 1
	frameFooter frameKind = 2 // the segment was closed in good order; first is the next sequence number
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// frame is the head of a frame; see the package comment for the table.
type frame struct {
	kind   frameKind
	first  uint64 // sequence number of the first entry
	count  uint32 // entries
	length uint32 // bytes of payload
	sum    uint32 // CRC32C of the payload
}

// size returns the bytes of head and payload.
func (f frame) size() int64 { return frameHead + int64(f.length) }

// next returns the sequence number behind the frame.
func (f frame) next() uint64 { return f.first + uint64(f.count) }

// newFrame describes a payload.
func newFrame(kind frameKind, first uint64, count uint32, payload []byte) frame {
	return frame{kind: kind, first: first, count: count, length: uint32(len(payload)), sum: crc32.Checksum(payload, castagnoli)}
}

// put writes the head into dst.
func (f frame) put(dst []byte) {
	le := binary.LittleEndian
	le.PutUint32(dst[0:], frameMagic)
	le.PutUint32(dst[4:], uint32(f.kind))
	le.PutUint64(dst[8:], f.first)
	le.PutUint32(dst[16:], f.count)
	le.PutUint32(dst[20:], f.length)
	le.PutUint32(dst[24:], f.sum)
	le.PutUint32(dst[28:], crc32.Checksum(dst[:28], castagnoli))
}

// parseFrame reads a head. I3: a head is believed only when its own checksum holds.
func parseFrame(src []byte) (frame, bool) {
	le := binary.LittleEndian
	if le.Uint32(src) != frameMagic || le.Uint32(src[28:]) != crc32.Checksum(src[:28], castagnoli) {
		return frame{}, false
	}
	f := frame{
		kind: frameKind(src[4]), first: le.Uint64(src[8:]), count: le.Uint32(src[16:]),
		length: le.Uint32(src[20:]), sum: le.Uint32(src[24:]),
	}
	known := f.kind == frameData && f.count > 0 || f.kind == frameFooter && f.length == 0
	return f, known && f.length <= maxFrame
}

// holds reports whether payload is what was written.
func (f frame) holds(payload []byte) bool { return crc32.Checksum(payload, castagnoli) == f.sum }
