package disktest

import (
	"fmt"
	"maps"
	"slices"
)

// Lie is how an operation that reports success did something else.
type Lie uint8

// The lies. What an operation cannot lie about it does.
const (
	Honest      Lie = iota
	Phantom         // of Sync and SyncDir: not everything they were to make durable is durable
	Misdirected     // of Sync: one sector went to another place of the disk, over what stands there
	Garbled         // of Read: one bit of the answer is wrong, and right in the next one
)

// String names the lie, for the trace.
func (l Lie) String() string { return [...]string{"honest", "phantom", "misdirected", "garbled"}[l] }

// Lies returns what the lying operations of this life did that the disk cannot undo, one line each.
func (d *Disk) Lies() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.lies)
}

// phantom settles the first n pending changes of a file, but for sectors drawn by luck. The caller holds mu.
func (d *Disk) phantom(name string, i *inode, n int) {
	d.lies = append(d.lies, fmt.Sprintf("%s: sync of %d writes not done", name, n))
	i.drop(d.rng, drawLuck(d.rng), n)
}

// misdirect settles the first n pending changes of a file, but for one sector, whose new content replaces
// another sector of the disk. The caller holds mu.
func (d *Disk) misdirect(name string, i *inode, n int) {
	var dirty []int64
	for s, count := range i.versions(n) {
		if count > 0 {
			dirty = append(dirty, int64(s))
		}
	}
	before := i.safe.clone()
	i.settle(n)
	target, at := d.anySector()
	if len(dirty) == 0 || target == nil {
		return
	}
	from := dirty[d.rng.IntN(len(dirty))]
	if target == i && at == from {
		return // as it should be
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
	}{{i, from}, {target, at}} { // the cache may still hold what was to be written
		if len(lost.of.pending) == 0 && d.rng.IntN(2) == 0 {
			lost.of.evict(lost.s)
		}
	}
}

// anySector draws a sector that a file holds durably. The caller holds mu.
func (d *Disk) anySector() (*inode, int64) {
	names := slices.Sorted(maps.Keys(d.durable)) // in a fixed order, because it draws
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
