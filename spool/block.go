package spool

import "runtime"

// mappedBytes is the size from which on a block is memory of its own, outside the garbage collector's: on its heap, a set that
// stays would let garbage of the same size gather before it is collected.
const mappedBytes = 64 << 10

// block is zeroed memory of a fixed size. It is for one goroutine at a time.
type block struct {
	bytes  []byte
	mapped *mapping // nil: it is on the heap
}

// mapping owns memory outside the heap. It is released with it, if release was not called before.
type mapping struct{ cleanup runtime.Cleanup }

// newBlock returns n bytes. If the system has no memory to map, they are on the heap.
func newBlock(n int) block {
	if n >= mappedBytes {
		if data := mapMemory(n); data != nil {
			m := &mapping{}
			m.cleanup = runtime.AddCleanup(m, unmapMemory, data)
			return block{bytes: data, mapped: m}
		}
	}
	return block{bytes: make([]byte, n)}
}

// release gives the memory back. No slice of it may be used afterwards.
func (b *block) release() {
	if b.mapped != nil {
		b.mapped.cleanup.Stop()
		unmapMemory(b.bytes)
	}
	*b = block{}
}
