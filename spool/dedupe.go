package spool

import "time"

// defaultMaxIDs is the default of Options.MaxIDs.
const defaultMaxIDs = 2_000_000

// generations is the number of parts of the window. A part is dropped as a whole, so that expiry costs nothing; an id is looked
// up in each part.
const generations = 4

// dedupeSet is the set of id hashes of the window. Its owner's mutex guards it.
type dedupeSet struct {
	window int64 // seconds, rounded up
	parts  []part
}

// part holds the id hashes accepted in a quarter of the window.
type part struct {
	oldest, newest uint32 // Unix seconds
	hashes         map[idHash]uint32
}

func newDedupeSet(window time.Duration) *dedupeSet {
	return &dedupeSet{window: int64((window + time.Second - 1) / time.Second)}
}

// has reports whether the hash was added within the window. The second in which it ends still counts.
func (d *dedupeSet) has(m idHash, now int64) bool {
	for i := len(d.parts) - 1; i >= 0; i-- {
		if stamp, ok := d.parts[i].hashes[m]; ok {
			return int64(stamp)+d.window >= now
		}
	}
	return false
}

// add adds a hash accepted at a Unix second.
func (d *dedupeSet) add(m idHash, at int64) {
	stamp := uint32(at)
	last := len(d.parts) - 1
	if last < 0 || int64(stamp) > int64(d.parts[last].oldest)+d.window/generations {
		d.parts = append(d.parts, part{oldest: stamp, newest: stamp, hashes: make(map[idHash]uint32)})
		last++
	}
	p := &d.parts[last]
	p.newest = max(p.newest, stamp)
	p.hashes[m] = stamp
}

// stamp returns when a hash was added (Unix seconds), or 0.
func (d *dedupeSet) stamp(m idHash) uint32 {
	for i := len(d.parts) - 1; i >= 0; i-- {
		if stamp, ok := d.parts[i].hashes[m]; ok {
			return stamp
		}
	}
	return 0
}

// forget drops the parts whose hashes have all expired.
func (d *dedupeSet) forget(now int64) {
	for len(d.parts) > 0 && int64(d.parts[0].newest)+d.window < now {
		d.parts[0] = part{}
		d.parts = d.parts[1:]
	}
}

// size returns how many hashes are in memory.
func (d *dedupeSet) size() (n int) {
	for i := range d.parts {
		n += len(d.parts[i].hashes)
	}
	return n
}
