package disktest

import (
	"fmt"
	"maps"
	"slices"
)

// Lie is the false effect of an operation that reports success.
type Lie uint8

// The lies. On other operations they have no effect.
const (
	Honest      Lie = iota
	Phantom         // of Sync and SyncDir: not everything that they report as durable is durable
	Misdirected     // of Sync: one sector was written to another place of the disk
	Garbled         // of Read: one bit of the answer is wrong; the next answer is right
)

// String names the lie, for the trace.
func (l Lie) String() string { return [...]string{"honest", "phantom", "misdirected", "garbled"}[l] }

// Lies returns the permanent effects of lying operations of this life, one line each.
func (d *Disk) Lies() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lies)
}

// phantomLocked makes the first n pending changes of a file durable, except for sectors drawn at random.
func (d *Disk) phantomLocked(name string, i *inode, n int) {
	d.lies = append(d.lies, fmt.Sprintf("%s: sync of %d writes not done", name, n))
	i.drop(d.rng, drawLuck(d.rng), n)
}

// misdirectLocked makes the first n pending changes of a file durable, except for one sector, whose new content replaces another
// sector of the disk.
func (d *Disk) misdirectLocked(name string, i *inode, n int) {
	var dirty []int64
	for s, count := range i.versions(n) {
		if count > 0 {
			dirty = append(dirty, int64(s))
		}
	}
	before := i.safe.clone()
	i.settle(n)
	target, at := d.anySectorLocked()
	if len(dirty) == 0 || target == nil {
		return
	}
	from := dirty[d.rng.IntN(len(dirty))]
	if target == i && at == from {
		return // the right place by chance
	}
	landed, was := i.safe.sector(from), before.sector(from)
	i.safe.write(from*sector, was)
	target.safe.write(at*sector, landed)
	target.safe.cut(target.safe.size)
	i.safe.cut(i.safe.size)
	d.lies = append(d.lies, fmt.Sprintf("%s: sector %d went to sector %d of another place", name, from, at))
	for _, lost := range []struct {
		of *inode
		s  int64
	}{{i, from}, {target, at}} { // the cache may still contain the right bytes
		if len(lost.of.pending) == 0 && d.rng.IntN(2) == 0 {
			lost.of.evict(lost.s)
		}
	}
}

// anySectorLocked draws a sector of a durable file.
func (d *Disk) anySectorLocked() (*inode, int64) {
	names := slices.Sorted(maps.Keys(d.durable)) // in a fixed order, since it draws a random number
	names = slices.DeleteFunc(names, func(name string) bool { return d.durable[name].dir || len(d.durable[name].safe.data) == 0 })
	if len(names) == 0 {
		return nil, 0
	}
	i := d.durable[names[d.rng.IntN(len(names))]]
	return i, d.rng.Int64N(roundUp(int64(len(i.safe.data))) / sector)
}

// sector returns a copy of the bytes of one sector.
func (m *image) sector(s int64) []byte {
	p := make([]byte, sector)
	if from := s * sector; from < int64(len(m.data)) {
		copy(p, m.data[from:])
	}
	return p
}
