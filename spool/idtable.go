package spool

import (
	"encoding/binary"
	"math/bits"
)

// idTable is a hash table with linear probing, in one block of memory: 12 bytes a slot, the two parts of a print and a stamp. It is
// rebuilt when 9 of 10 slots are taken, so that 8 of 10 are: a hash takes 15 bytes at most. Its owner's mutex guards it.
type idTable struct {
	data  block
	slots int
	taken int
	steps uint64 // slots that were looked at, for the growth test
}

// idPrint is what is stored of a hash. A first part of 0 stands for a free slot.
type idPrint struct {
	first  uint64
	second uint16
}

const (
	slotBytes = 8 + 2 + 2
	fewSlots  = 16 // of a table that was just made
)

// find returns the slot of a print. Without one it returns the slot for it, and false.
func (t *idTable) find(p idPrint) (slot int, found bool) {
	if t.slots == 0 {
		return 0, false
	}
	place, _ := bits.Mul64(p.first, uint64(t.slots))
	for slot = int(place); ; {
		t.steps++
		switch first := t.first(slot); {
		case first == 0:
			return slot, false
		case first == p.first && t.second(slot) == p.second:
			return slot, true
		}
		if slot++; slot == t.slots {
			slot = 0
		}
	}
}

// full reports whether the table has to be rebuilt before another slot is taken.
func (t *idTable) full() bool { return (t.taken+1)*10 > t.slots*9 }

// fill takes a free slot.
func (t *idTable) fill(slot int, p idPrint) {
	binary.LittleEndian.PutUint64(t.data.bytes[slot*slotBytes:], p.first)
	binary.LittleEndian.PutUint16(t.data.bytes[slot*slotBytes+8:], p.second)
	t.taken++
}

// rebuild moves the hashes that are younger than a limit into a table in which 8 of 10 slots are taken, or one for so many if that
// is more. now is the present as a stamp.
func (t *idTable) rebuild(now, limit uint16, least int) {
	n, steps := 0, t.steps+uint64(t.slots)
	for slot := range t.slots {
		if t.first(slot) != 0 && now-t.stamp(slot) < limit {
			n++
		}
	}
	made := idTable{slots: max(fewSlots, n*10/8+1, least*10/8+1)}
	made.data = newBlock(made.slots * slotBytes)
	for slot := range t.slots {
		if p := (idPrint{t.first(slot), t.second(slot)}); p.first != 0 && now-t.stamp(slot) < limit {
			to, _ := made.find(p)
			made.fill(to, p)
			made.setStamp(to, t.stamp(slot))
		}
	}
	t.free()
	*t = made
	t.steps += steps
}

// free releases the memory. The table is empty then.
func (t *idTable) free() {
	t.data.release()
	*t = idTable{}
}

func (t *idTable) first(slot int) uint64 {
	return binary.LittleEndian.Uint64(t.data.bytes[slot*slotBytes:])
}

func (t *idTable) second(slot int) uint16 {
	return binary.LittleEndian.Uint16(t.data.bytes[slot*slotBytes+8:])
}

func (t *idTable) stamp(slot int) uint16 {
	return binary.LittleEndian.Uint16(t.data.bytes[slot*slotBytes+10:])
}

func (t *idTable) setStamp(slot int, stamp uint16) {
	binary.LittleEndian.PutUint16(t.data.bytes[slot*slotBytes+10:], stamp)
}
