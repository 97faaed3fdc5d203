package spool

import (
	"crypto/sha256"
	"encoding/binary"
	"hash/crc32"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
)

const (
	manifestBytes = 512 // one sector: written whole or not at all
	manifestMagic = "reportmf"
	manifestVer   = 1
	manifestHoles = 8 // of the batch log, the newest
)

// manifestState is the content of one file of the manifest.
type manifestState struct {
	generation uint64
	identity   [16]byte      // of the directory
	boot       [16]byte      // the boot of the machine in which it was written
	file       disk.Identity // of the file identity, at the start
	closed     bool          // written by Close: nothing was accepted after it
	at         int64         // when the directory was opened, Unix nanoseconds
	logs       [3]wal.Extent // by wal.Kind, less one
	committed  Position
	requeues   uint64
	counts     Counts
	holes      []wal.Numbers // records missing from the batch log that a start has processed
}

// numbers lists the fields of fixed size in their order on disk.
func (s *manifestState) numbers() [20]*uint64 {
	c := &s.counts
	return [20]*uint64{
		&s.generation, &s.file.Inode, (*uint64)(&s.committed), &s.requeues,
		&c.Accepted, &c.Duplicates, &c.Delivered, &c.Dead, &c.Pending, &c.Ambiguous, &c.Lost,
		&s.logs[0].First, &s.logs[0].Last, &s.logs[0].Next,
		&s.logs[1].First, &s.logs[1].Last, &s.logs[1].Next,
		&s.logs[2].First, &s.logs[2].Last, &s.logs[2].Next,
	}
}

// put encodes the state into dst, which has manifestBytes.
func (s *manifestState) put(dst []byte) {
	clear(dst)
	b := append(dst[:0], manifestMagic...)
	b = binary.LittleEndian.AppendUint16(b, manifestVer)
	b = append(b, bit(s.closed), byte(len(s.holes)))
	b = append(append(b, s.identity[:]...), s.boot[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(s.file.Changed))
	b = binary.LittleEndian.AppendUint64(b, uint64(s.at))
	for _, n := range s.numbers() {
		b = binary.LittleEndian.AppendUint64(b, *n)
	}
	for i := range s.logs {
		l := &s.logs[i]
		b = binary.LittleEndian.AppendUint32(b, l.FirstTry)
		b = binary.LittleEndian.AppendUint32(b, l.LastTry)
		b = binary.LittleEndian.AppendUint32(b, l.Segments)
		b = binary.LittleEndian.AppendUint64(b, uint64(l.End))
	}
	for _, h := range s.holes {
		b = binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(b, h.First), h.Last)
	}
	binary.LittleEndian.PutUint32(dst[manifestBytes-4:], crc32.Checksum(dst[:manifestBytes-4], castagnoli))
}

// parse decodes the result of put. It reports whether the bytes hold (I3) and are of this version.
func (s *manifestState) parse(src []byte) bool {
	if len(src) < manifestBytes || string(src[:8]) != manifestMagic ||
		binary.LittleEndian.Uint32(src[manifestBytes-4:]) != crc32.Checksum(src[:manifestBytes-4], castagnoli) ||
		binary.LittleEndian.Uint16(src[8:]) != manifestVer {
		return false
	}
	s.closed = src[10] == 1
	holes := min(int(src[11]), manifestHoles)
	copy(s.identity[:], src[12:])
	copy(s.boot[:], src[28:])
	d := decoder{data: src[44 : manifestBytes-4]}
	s.file.Changed, s.at = int64(d.uint64()), int64(d.uint64())
	for _, n := range s.numbers() {
		*n = d.uint64()
	}
	for i := range s.logs {
		l := &s.logs[i]
		l.FirstTry, l.LastTry, l.Segments = d.uint32(), d.uint32(), d.uint32()
		l.End = int64(d.uint64())
	}
	for range holes {
		s.holes = append(s.holes, wal.Numbers{First: d.uint64(), Last: d.uint64()})
	}
	return d.err == nil
}

// bootOf returns the id of the machine's boot, in sixteen bytes.
func bootOf(fs disk.FS) (b [16]byte) {
	sum := sha256.Sum256([]byte(fs.Boot()))
	copy(b[:], sum[:])
	return b
}
