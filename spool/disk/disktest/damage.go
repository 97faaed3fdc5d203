package disktest

import (
	"maps"
	"path"
	"slices"
)

// Files returns the paths of all files whose name a crash cannot remove, sorted.
func (d *Disk) Files() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	names := maps.Clone(d.durable)
	orphan(names)
	maps.DeleteFunc(names, func(_ string, i *inode) bool { return i.dir })
	return slices.Sorted(maps.Keys(names))
}

// Durable returns a copy of the bytes of a file that a crash cannot remove, nil if there is no such file. Trailing bytes that
// were never written are zero.
func (d *Disk) Durable(name string) []byte {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.durable[path.Clean(name)]
	if i == nil || i.dir {
		return nil
	}
	b := make([]byte, i.safe.size)
	copy(b, i.safe.data)
	return b
}

// Flip inverts one bit of a durable byte, on the platter and in the page cache. It reports whether the byte exists.
func (d *Disk) Flip(name string, offset int64, bit uint) bool {
	return d.alter(name, offset, 1, func(b []byte) { b[0] ^= 1 << (bit % 8) })
}

// Zero makes n durable bytes zero, like a drive that lost a sector. It reports whether there are so many.
func (d *Disk) Zero(name string, offset, n int64) bool {
	return d.alter(name, offset, n, func(b []byte) { clear(b) })
}

// alter changes n durable bytes of a file at offset.
func (d *Disk) alter(name string, offset, n int64, change func([]byte)) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := d.durable[path.Clean(name)]
	if i == nil || i.dir || offset < 0 || n <= 0 || offset+n > i.safe.size {
		return false
	}
	for _, m := range []*image{&i.safe, &i.now} {
		if offset+n <= m.size {
			m.write(offset, nil)
			m.write(min(offset+n, m.size), nil) // the bytes exist
			change(m.data[offset : offset+n])
		}
	}
	return true
}
