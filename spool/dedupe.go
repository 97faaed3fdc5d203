package spool

import "time"

// defaultMaxIDs is what Options.MaxIDs says.
const defaultMaxIDs = 2_000_000

// generations is into how many parts the window is split. A part is forgotten whole, so that forgetting
// costs nothing; an id is looked up in each.
const generations = 4

// known is the set of marks of the window. Its owner's mutex guards it.
type dedupeSet struct {
	window int64 // seconds, rounded up
	parts  []part
}

// part holds the marks accepted in a quarter of the window.
type part struct {
	oldest, newest uint32 // Unix seconds
	marks          map[idHash]uint32
}

func newDedupeSet(window time.Duration) *dedupeSet {
	return &dedupeSet{window: int64((window + time.Second - 1) / time.Second)}
}

// has reports whether the mark was added within the window. The second in which it ends still counts.
func (k *dedupeSet) has(m idHash, now int64) bool {
	for i := len(k.parts) - 1; i >= 0; i-- {
		if stamp, ok := k.parts[i].marks[m]; ok {
			return int64(stamp)+k.window >= now
		}
	}
	return false
}

// add remembers a mark accepted at a Unix second.
func (k *dedupeSet) add(m idHash, at int64) {
	stamp := uint32(at)
	last := len(k.parts) - 1
	if last < 0 || int64(stamp) > int64(k.parts[last].oldest)+k.window/generations {
		k.parts = append(k.parts, part{oldest: stamp, newest: stamp, marks: make(map[idHash]uint32)})
		last++
	}
	p := &k.parts[last]
	p.newest = max(p.newest, stamp)
	p.marks[m] = stamp
}

// stamp returns when a mark was added, or 0.
func (k *dedupeSet) stamp(m idHash) uint32 {
	for i := len(k.parts) - 1; i >= 0; i-- {
		if stamp, ok := k.parts[i].marks[m]; ok {
			return stamp
		}
	}
	return 0
}

// forget drops the parts that lie behind the window.
func (k *dedupeSet) forget(now int64) {
	for len(k.parts) > 0 && int64(k.parts[0].newest)+k.window < now {
		k.parts[0] = part{}
		k.parts = k.parts[1:]
	}
}

// size returns how many marks take memory.
func (k *dedupeSet) size() (n int) {
	for i := range k.parts {
		n += len(k.parts[i].marks)
	}
	return n
}
