package ledger

import (
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// rowWriter writes rows of the days, in their order, in one transaction of the database.
type rowWriter struct {
	days     *bbolt.Bucket
	strict   bool   // every value has a checksum
	numbered uint32 // there is no row of an application with a higher number; 0: unknown

	stored, merged []cell // of the row that is written; reused
	plain          []byte // the same, encoded
	values         arena  // what the transaction keeps until it ends
}

// write adds changes to what is stored of a row.
func (w *rowWriter) write(r rowChange) error {
	key := r.key()
	w.stored = w.stored[:0]
	if w.numbered == 0 || r.app <= w.numbered {
		data, err := unseal(key, w.days.Get(key), w.strict)
		if err == nil {
			err = eachCell(data, func(c *cell) { w.stored = append(w.stored, *c) })
		}
		if err != nil {
			return fmt.Errorf("%w: %s of service number %d: %w", errDamaged, dayTime(r.day).Format(time.DateOnly), r.service, err)
		}
	}
	w.merged = merge(w.merged[:0], w.stored, r.cells)
	w.plain = appendCells(w.plain[:0], w.merged)
	return w.days.Put(key, seal(w.values.make(len(w.plain)+sealBytes), key, w.plain))
}

// arenaBlock is how many bytes an arena allocates at once.
const arenaBlock = 64 << 10

// arena allocates small slices that are freed together.
type arena struct{ free []byte }

// make returns an empty slice with room for n bytes.
func (a *arena) make(n int) []byte {
	if n > arenaBlock/8 {
		return make([]byte, 0, n)
	}
	if n > len(a.free) {
		a.free = make([]byte, arenaBlock)
	}
	made := a.free[:0:n]
	a.free = a.free[n:]
	return made
}
