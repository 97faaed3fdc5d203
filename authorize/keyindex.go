package authorize

import (
	"encoding/binary"

	"github.com/reporterd/reporterd/authorize/quota"
)

// keyIndex finds the entries of a shard by their keys: open addressing with linear probing. A lookup among many entries waits for
// memory and for nothing else. Here it waits once: a slot has the whole key, two slots share a cache line, and beside the entry it
// points to its application, so that both are fetched at the same time. A map waits twice, and the application comes last. The
// shard's mutex guards it.
type keyIndex struct {
	slots []slot // a power of two of them, at most three quarters in use
	count int
	shift uint // of a hash, so that a number of a slot is left
}

// slot is one entry, or free.
type slot struct {
	key         digest
	entry       *entry // nil: it is free
	application *quota.Application
}

// leastSlots is how many slots the smallest index has.
const leastSlots = 16

// home is the slot where the search for a key begins. Keys are hashes; the shard is chosen by their first bits.
func (x *keyIndex) home(k *digest) int {
	h := binary.LittleEndian.Uint64(k[:8]) ^ binary.LittleEndian.Uint64(k[8:])
	return int(h * 0x9e3779b97f4a7c15 >> x.shift)
}

// find returns the number of a key's slot, or -1.
func (x *keyIndex) find(k *digest) int {
	if x.count == 0 {
		return -1
	}
	for i := x.home(k); ; i = x.next(i) {
		switch s := &x.slots[i]; {
		case s.entry == nil:
			return -1
		case s.key == *k:
			return i
		}
	}
}

func (x *keyIndex) next(i int) int { return (i + 1) & (len(x.slots) - 1) }

// get returns the entry of a key and its application; nil: there is none.
func (x *keyIndex) get(k *digest) (*entry, *quota.Application) {
	i := x.find(k)
	if i < 0 {
		return nil, nil
	}
	return x.slots[i].entry, x.slots[i].application
}

// put adds an entry whose key has none.
func (x *keyIndex) put(e *entry) {
	if (x.count+1)*4 > len(x.slots)*3 {
		x.grow()
	}
	x.count++
	x.place(slot{e.key, e, e.application})
}

func (x *keyIndex) place(s slot) {
	i := x.home(&s.key)
	for x.slots[i].entry != nil {
		i = x.next(i)
	}
	x.slots[i] = s
}

// grow doubles the index.
func (x *keyIndex) grow() {
	old := x.slots
	x.slots = make([]slot, max(leastSlots, 2*len(old)))
	x.shift = 64
	for n := len(x.slots); n > 1; n /= 2 {
		x.shift--
	}
	for i := range old {
		if old[i].entry != nil {
			x.place(old[i])
		}
	}
}

// remove forgets a key. Entries behind it that would not be found any more move to the free slot.
func (x *keyIndex) remove(k *digest) {
	free := x.find(k)
	if free < 0 {
		return
	}
	x.count--
	for i := x.next(free); x.slots[i].entry != nil; i = x.next(i) {
		home, mask := x.home(&x.slots[i].key), len(x.slots)-1 // distances wrap around the end
		if (i-home)&mask >= (i-free)&mask {
			x.slots[free], free = x.slots[i], i
		}
	}
	x.slots[free] = slot{}
}
