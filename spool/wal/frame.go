package wal

import (
	"encoding/binary"
	"hash/crc32"
)

const (
	frameMagic uint32 = 0x31465052 // "RPF1", little-endian
	FrameHead         = 32         // bytes
	MaxFrame          = 64 << 20   // bytes of a payload; a reader allocates no more
)

// frameKind is the kind of a frame.
type frameKind uint8

const (
	FrameData   frameKind = 1
	frameFooter frameKind = 2 // the segment was closed in good order; first is the next sequence number
)

var checksums = crc32.MakeTable(crc32.Castagnoli)

// Frame is the head of a frame. The documentation of package spool has the table.
type Frame struct {
	kind   frameKind
	log    Kind   // that it was written to; 0: an earlier version wrote it
	First  uint64 // sequence number of the first entry
	count  uint32 // entries
	length uint32 // bytes of payload
	sum    uint32 // CRC32C of the payload
}

// Size returns the bytes of head and payload.
func (f Frame) Size() int64 { return FrameHead + int64(f.length) }

// Next returns the sequence number after the frame.
func (f Frame) Next() uint64 { return f.First + uint64(f.count) }

// NewFrame returns the head for a payload, as versions wrote it that did not record the log. Log.frame is for what is written now.
func NewFrame(kind frameKind, first uint64, count uint32, payload []byte) Frame {
	return Frame{kind: kind, First: first, count: count, length: uint32(len(payload)), sum: crc32.Checksum(payload, checksums)}
}

// frame returns the head for a payload of this log.
func (l *Log) frame(kind frameKind, first uint64, count uint32, payload []byte) Frame {
	f := NewFrame(kind, first, count, payload)
	f.log = l.Kind
	return f
}

// Put writes the head into dst.
func (f Frame) Put(dst []byte) {
	le := binary.LittleEndian
	le.PutUint32(dst[0:], frameMagic)
	le.PutUint32(dst[4:], uint32(f.kind)|uint32(f.log)<<8)
	le.PutUint64(dst[8:], f.First)
	le.PutUint32(dst[16:], f.count)
	le.PutUint32(dst[20:], f.length)
	le.PutUint32(dst[24:], f.sum)
	le.PutUint32(dst[28:], crc32.Checksum(dst[:28], checksums))
}

// ParseFrame reads a head of a log. It returns false if the head's checksum does not hold (I3), or if the frame belongs to another
// log: a disk may write a frame to a wrong place, where its checksums hold as well, and its sequence numbers may fit by chance.
func ParseFrame(log Kind, src []byte) (Frame, bool) {
	le := binary.LittleEndian
	if le.Uint32(src) != frameMagic || le.Uint32(src[28:]) != crc32.Checksum(src[:28], checksums) {
		return Frame{}, false
	}
	f := Frame{
		kind: frameKind(src[4]), log: Kind(src[5]), First: le.Uint64(src[8:]), count: le.Uint32(src[16:]),
		length: le.Uint32(src[20:]), sum: le.Uint32(src[24:]),
	}
	known := f.kind == FrameData && f.count > 0 || f.kind == frameFooter && f.length == 0
	return f, known && f.length <= MaxFrame && (f.log == log || f.log == 0)
}

// holds reports whether payload is what was written, by its checksum.
func (f Frame) holds(payload []byte) bool { return crc32.Checksum(payload, checksums) == f.sum }
