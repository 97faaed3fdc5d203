package disktest

import (
	"maps"
	"math"
)

// sector is the size of a sector in bytes: a drive writes it completely or not at all.
const sector = 512

// roundUp returns the end of the sector that contains the n-th byte.
func roundUp(n int64) int64 { return (n + sector - 1) / sector * sector }

// image is the content of a file: size bytes, of which those beyond data read as zero.
type image struct {
	data []byte
	size int64
}

// clone returns a deep copy.
func (m image) clone() image {
	return image{data: append([]byte(nil), m.data...), size: m.size}
}

// write copies p to off and does not change the size.
func (m *image) write(off int64, p []byte) {
	if need := off + int64(len(p)); need > int64(len(m.data)) {
		m.data = append(m.data, make([]byte, need-int64(len(m.data)))...)
	}
	copy(m.data[off:], p)
}

// cut makes every byte from n on zero and does not change the size.
func (m *image) cut(n int64) {
	if n < int64(len(m.data)) {
		m.data = m.data[:n:n]
	}
}

// read fills p from off and returns how much of it lies within the size.
func (m *image) read(p []byte, off int64) int {
	if off >= m.size {
		return 0
	}
	n := int(min(int64(len(p)), m.size-off))
	clear(p[:n])
	if off < int64(len(m.data)) {
		copy(p[:n], m.data[off:])
	}
	return n
}

// change is one modification of a file that no Sync has made durable: a write of data at off, or, when
// data is nil, a cut at off. size is the file's size after it.
type change struct {
	off  int64
	data []byte
	size int64
}

// sectors returns the first sector that the change touches, and the one after its last. An image of
// the given length bounds a cut.
func (c *change) sectors(length int64) (from, to int64) {
	end := c.off + int64(len(c.data))
	if c.data == nil {
		end = max(c.off, length)
	}
	return c.off / sector, roundUp(end) / sector
}

// applySector applies the part of the change that lies in one sector.
func (c *change) applySector(m *image, s int64) {
	from, to := s*sector, (s+1)*sector
	if c.data == nil {
		from, to = max(from, c.off), min(to, int64(len(m.data)))
		if from < to {
			clear(m.data[from:to])
		}
		return
	}
	from, to = max(from, c.off), min(to, c.off+int64(len(c.data)))
	m.write(from, c.data[from-c.off:to-c.off])
}

// inode is a file or a directory, without its names. A directory has no content.
type inode struct {
	dir      bool
	now      image    // what reads return: the page cache
	safe     image    // what a crash cannot remove
	pending  []change // the changes from safe to now, unless a failed Sync dropped some of them
	synced   uint64   // how many changes were taken from pending since the file was made
	reserved int64    // bytes reserved by Allocate

	latent map[int64]bool // sectors that cannot be read until they are written again
}

// occupied returns the bytes of the disk's capacity that the file takes.
func (i *inode) occupied() int64 {
	return roundUp(max(i.reserved, int64(len(i.now.data))))
}

// growth returns how many more bytes of capacity the file takes once it has content up to end.
func (i *inode) growth(end int64) int64 {
	return max(0, roundUp(end)-i.occupied())
}

// write writes p at off, in the page cache only.
func (i *inode) write(off int64, p []byte) {
	i.now.write(off, p)
	i.rewrite(off, off+int64(len(p)))
	i.now.size = max(i.now.size, off+int64(len(p)))
	i.pending = append(i.pending, change{off: off, data: append([]byte{}, p...), size: i.now.size})
}

// resize sets the size, in the page cache only. Bytes that it removes read as zero when the file grows again.
func (i *inode) resize(n int64) {
	if n < i.now.size {
		i.reserved = min(i.reserved, n)
	}
	i.now.cut(n)
	i.rewrite(roundUp(n), math.MaxInt64)
	i.now.size = n
	i.pending = append(i.pending, change{off: n, size: n})
}

// settle makes the first n pending changes durable.
func (i *inode) settle(n int) {
	for _, c := range i.pending[:n] {
		if c.data == nil {
			i.safe.cut(c.off)
		} else {
			i.safe.write(c.off, c.data)
		}
		i.safe.size = c.size
	}
	i.forget(n)
}

// forget removes the first n changes from pending, durable or not.
func (i *inode) forget(n int) {
	i.pending = append([]change(nil), i.pending[n:]...)
	i.synced += uint64(n)
}

// clone returns a copy that shares only data that is never written.
func (i *inode) clone() *inode {
	c := *i
	c.now, c.safe = i.now.clone(), i.safe.clone()
	c.pending = append([]change(nil), i.pending...)
	c.latent = maps.Clone(i.latent)
	return &c
}
