package spool

import (
	"slices"
	"strings"
	"time"
)

const (
	// blockLetters is how many letters a block of the index has on average, at least.
	blockLetters = 512

	// maxLetterKinds limits the pairs of service and reason that are remembered.
	maxLetterKinds = 1 << 17
)

// letterIndex is the letters of the directory in the order of their ids, some 70 bytes of memory each: finding one, or the next ones
// behind an id, takes as long as two binary searches. Its owner's mutex guards it.
type letterIndex struct {
	blocks  [][]indexedLetter // sorted, none empty, each at most 2*blockLetters
	kinds   []letterKind
	numbers map[letterKind]uint32 // of the kinds, from 1
}

// indexedLetter is what is known of a letter without reading its file.
type indexedLetter struct {
	id      string
	size    int64  // of the file
	created int64  // Unix nanoseconds; only with a kind
	kind    uint32 // number of a letterKind; 0: unknown until the file is read
}

// letterKind is what letters are filtered by.
type letterKind struct{ service, reason string }

// seek returns the place of the first letter whose id is not below the given one.
func (x *letterIndex) seek(id string) (block, at int) {
	block, _ = slices.BinarySearchFunc(x.blocks, id, func(b []indexedLetter, id string) int { return strings.Compare(b[len(b)-1].id, id) })
	if block < len(x.blocks) {
		at, _ = slices.BinarySearchFunc(x.blocks[block], id, func(l indexedLetter, id string) int { return strings.Compare(l.id, id) })
	}
	return block, at
}

// find returns a letter, or nil. It is valid until the next change.
func (x *letterIndex) find(id string) *indexedLetter {
	if block, at := x.seek(id); block < len(x.blocks) && x.blocks[block][at].id == id {
		return &x.blocks[block][at]
	}
	return nil
}

// put adds or replaces a letter.
func (x *letterIndex) put(l indexedLetter) {
	if known := x.find(l.id); known != nil {
		*known = l
		return
	}
	block, at := x.seek(l.id)
	if block == len(x.blocks) && block > 0 {
		block, at = block-1, len(x.blocks[block-1])
	} else if block == len(x.blocks) {
		x.blocks = append(x.blocks, nil)
	}
	b := slices.Insert(x.blocks[block], at, l)
	if len(b) <= 2*blockLetters {
		x.blocks[block] = b
		return
	}
	x.blocks[block] = slices.Clone(b[:blockLetters])
	x.blocks = slices.Insert(x.blocks, block+1, slices.Clone(b[blockLetters:]))
}

// remove removes a letter, if it is there.
func (x *letterIndex) remove(id string) {
	block, at := x.seek(id)
	if block == len(x.blocks) || x.blocks[block][at].id != id {
		return
	}
	x.blocks[block] = slices.Delete(x.blocks[block], at, at+1)
	if len(x.blocks[block]) == 0 {
		x.blocks = slices.Delete(x.blocks, block, block+1)
	}
}

// each calls visit with the letters from an id on, in order, until it returns false.
func (x *letterIndex) each(from string, visit func(*indexedLetter) bool) {
	block, at := x.seek(from)
	for ; block < len(x.blocks); block, at = block+1, 0 {
		for ; at < len(x.blocks[block]); at++ {
			if !visit(&x.blocks[block][at]) {
				return
			}
		}
	}
}

// after returns at most n letters behind a cursor that the query may select: those of which it is known that it does not are left
// out.
func (x *letterIndex) after(q *DeadLetterQuery, n int) (found []indexedLetter) {
	fits := make([]bool, len(x.kinds)+1)
	fits[0] = true
	for i, k := range x.kinds {
		fits[i+1] = (q.ServiceID == "" || q.ServiceID == k.service) && (q.Reason == "" || q.Reason == k.reason)
	}
	x.each(q.Cursor, func(l *indexedLetter) bool {
		if l.id == q.Cursor || !fits[l.kind] || l.kind != 0 && !q.contains(time.Unix(0, l.created)) {
			return true
		}
		found = append(found, *l)
		return len(found) < n
	})
	return found
}

// describe sets what a letter is filtered by.
func (x *letterIndex) describe(l *indexedLetter, d *DeadLetter) {
	k := letterKind{d.ServiceID, d.Reason.Code}
	number, known := x.numbers[k]
	if year := d.CreatedAt.Year(); year < 1970 || year > 2200 || !known && len(x.kinds) >= maxLetterKinds {
		l.kind = 0 // its file is read each time
		return
	}
	if !known {
		if x.numbers == nil {
			x.numbers = make(map[letterKind]uint32)
		}
		k = letterKind{strings.Clone(k.service), strings.Clone(k.reason)}
		x.kinds = append(x.kinds, k)
		number = uint32(len(x.kinds))
		x.numbers[k] = number
	}
	l.kind, l.created = number, d.CreatedAt.UnixNano()
}
