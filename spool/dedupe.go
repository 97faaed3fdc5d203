package spool

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// defaultMaxIDs is the default of Options.MaxIDs.
const defaultMaxIDs = 2_000_000

const (
	idShards = 256 // parts of the set that grow one at a time

	// maxUnits is how many units of time a window has at most: half of what tells the age of a 16-bit stamp.
	maxUnits = 1 << 14

	// sweepUnits is after how many units the next shard is freed of hashes that have expired. All shards together take
	// idShards*sweepUnits units, in which no age that has expired becomes one that has not (see age).
	sweepUnits = 32

	// maxLater limits how many hashes wait for flush: 24 bytes each, 48 MB.
	maxLater = 2 << 20
)

// dedupeSet is the set of id hashes of the window, at 15 bytes of memory a hash at most, once there are some ten thousand. Its owner's mutex guards it.
//
// 88 bits of a hash are compared: the shard that it is in has 8 of them. With 30 million hashes, at 50,000 new ones a second, two
// are taken for one once in some million years.
type dedupeSet struct {
	window int64  // seconds, rounded up
	unit   int64  // seconds that one unit of a stamp stands for: 1 up to a window of 4.5 hours, 6 for a day
	seed   uint64 // odd; a client that does not know it cannot choose ids that lie in one place
	shards [idShards]idTable

	newest  int64               // the latest unit that has begun; it never goes back
	added   []uint32            // hashes by the unit in which they were added, for the window: at unit modulo its length
	live    int                 // their sum
	later   [idShards][]laterID // what flush adds
	waiting int                 // how many they are

	swept  int64 // the unit up to which shards were swept
	sweeps uint8 // the shard that is swept next
}

// laterID is a hash that flush adds, with the unit in which it was accepted.
type laterID struct {
	print idPrint
	unit  int64
}

// newDedupeSet returns an empty set of hashes that are remembered for a window.
func newDedupeSet(window time.Duration) *dedupeSet {
	seconds := int64((window + time.Second - 1) / time.Second)
	unit := (seconds + maxUnits - 1) / maxUnits
	return &dedupeSet{window: seconds, unit: unit, seed: rand.Uint64() | 1, added: make([]uint32, (seconds+unit-1)/unit+1)}
}

// has reports whether the hash was added within the window. The unit in which it ends still counts.
func (d *dedupeSet) has(m idHash, now int64) bool {
	d.forget(now)
	shard, print := d.shardOf(m)
	t := &d.shards[shard]
	slot, found := t.find(print)
	return found && d.alive(t.stamp(slot))
}

// add adds a hash accepted at a Unix second. It must not be later than the present, which only has and forget learn.
func (d *dedupeSet) add(m idHash, at int64) {
	shard, print := d.shardOf(m)
	d.addTo(&d.shards[shard], print, min(at/d.unit, d.newest))
}

// addLater is add for many hashes in any order: flush adds them, shard by shard, so that a shard is in the processor's cache while its
// hashes are added. A start takes a fraction of the time.
func (d *dedupeSet) addLater(m idHash, at int64) {
	shard, print := d.shardOf(m)
	d.later[shard] = append(d.later[shard], laterID{print, min(at/d.unit, d.newest)})
	if d.waiting++; d.waiting >= maxLater {
		d.flush()
	}
}

// flush adds what was given to addLater. Until then has does not find it.
func (d *dedupeSet) flush() {
	for i := range d.later {
		for _, l := range d.later[i] {
			d.addTo(&d.shards[i], l.print, l.unit)
		}
		d.later[i] = d.later[i][:0]
	}
	if d.waiting < maxLater { // the last ones
		d.later = [idShards][]laterID{}
	}
	d.waiting = 0
}

func (d *dedupeSet) addTo(t *idTable, print idPrint, unit int64) {
	if d.newest-unit >= int64(len(d.added)) {
		return // it has expired
	}
	slot, found := t.find(print)
	if found && d.alive(t.stamp(slot)) {
		before := d.newest - d.age(t.stamp(slot))
		if before >= unit {
			return
		}
		d.count(before, -1)
	}
	if !found {
		if t.full() {
			d.rebuild(t, 0)
			slot, _ = t.find(print)
		}
		t.fill(slot, print)
	}
	t.setStamp(slot, uint16(unit))
	d.count(unit, 1)
}

// forget takes note of the present, and frees what has expired.
func (d *dedupeSet) forget(now int64) {
	unit := now / d.unit
	if unit <= d.newest {
		return
	}
	if unit-d.newest >= int64(len(d.added)) {
		for i := range d.shards {
			d.shards[i].free()
		}
		d.live, d.swept = 0, unit
		clear(d.added)
	}
	for u := max(d.newest+1, unit-int64(len(d.added))+1); u <= unit; u++ {
		d.count(u, -int(d.added[u%int64(len(d.added))])) // those that were added one window earlier
	}
	d.newest = unit
	for n := 0; d.swept+sweepUnits <= unit && n < idShards; n++ {
		d.rebuild(&d.shards[d.sweeps], 0)
		d.sweeps++
		d.swept += sweepUnits
	}
	if d.swept+sweepUnits <= unit {
		d.swept = unit // all of them were swept
	}
}

func (d *dedupeSet) rebuild(t *idTable, least int) {
	t.rebuild(uint16(d.newest), uint16(len(d.added)), least)
}

// reserve makes space for so many hashes, so that a start, which knows how many come, does not make it little by little. It costs
// no memory that they would not take.
func (d *dedupeSet) reserve(n int) {
	for i := range d.shards {
		d.rebuild(&d.shards[i], n/idShards)
	}
}

// size returns how many hashes of the window are in memory.
func (d *dedupeSet) size() int { return d.live }

// bytes returns how much memory the hashes take.
func (d *dedupeSet) bytes() (n int) {
	for i := range d.shards {
		n += len(d.shards[i].data.bytes)
	}
	return n
}

func (d *dedupeSet) count(unit int64, n int) {
	at := unit % int64(len(d.added))
	d.added[at] = uint32(int(d.added[at]) + n)
	d.live += n
}

// age returns how many units ago a stamp was.
func (d *dedupeSet) age(stamp uint16) int64 { return int64(uint16(d.newest) - stamp) }

func (d *dedupeSet) alive(stamp uint16) bool { return d.age(stamp) < int64(len(d.added)) }

// shardOf returns the shard of a hash, and the bits of it that are stored there.
func (d *dedupeSet) shardOf(m idHash) (shard int, print idPrint) {
	mixed := binary.LittleEndian.Uint64(m[8:]) * d.seed
	first := max(binary.LittleEndian.Uint64(m[:8])*d.seed, 1) // 0 is a free slot
	return int(mixed >> 56), idPrint{first: first, second: uint16(mixed >> 40)}
}
