package spool

import (
	"cmp"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// MaxChildren and MaxSplits limit what a BatchID can name: four bits for each split.
const (
	MaxChildren = 15
	MaxSplits   = 16
)

// requeuedIndex is the index in the ids of batches that were dead letters.
const requeuedIndex = math.MaxUint32

// BatchID names a batch permanently. It is a function of the journal: the position its cut went up to, and its number in that
// cut. A batch made of a dead letter has the number of the requeue as its position, and requeuedIndex as its index. A batch that
// came out of a split adds its path, so that no id is used twice, even after its batch has ended.
type BatchID struct {
	Position Position
	Index    uint32
	Path     uint64 // four bits a split, the first split highest used: child 1 to 15
}

// requeuedMark stands for requeuedIndex in the written form.
const requeuedMark = "r"

// Requeued reports whether the batch was a dead letter, or was split from such a batch.
func (id BatchID) Requeued() bool { return id.Index == requeuedIndex }

// String writes "000000042000-0007", and ".1.2" behind it for the second child of the first child. A batch
// made of a dead letter is "000000000012-r".
func (id BatchID) String() string {
	s := fmt.Sprintf("%012d-%04d", uint64(id.Position), id.Index)
	if id.Requeued() {
		s = fmt.Sprintf("%012d-%s", uint64(id.Position), requeuedMark)
	}
	for shift := 60; shift >= 0; shift -= 4 {
		if n := id.Path >> shift & 15; n > 0 {
			s += "." + strconv.FormatUint(n, 10)
		}
	}
	return s
}

// ParseBatchID parses the result of String.
func ParseBatchID(s string) (BatchID, error) {
	var id BatchID
	bad := fmt.Errorf("spool: batch id %q: want 000000042000-0007", s)
	parts := strings.Split(s, ".")
	position, index, ok := strings.Cut(parts[0], "-")
	p, err := strconv.ParseUint(position, 10, 64)
	i, err2 := strconv.ParseUint(index, 10, 32)
	if index == requeuedMark {
		i, err2 = requeuedIndex, nil
	}
	if !ok || err != nil || err2 != nil || len(parts) > MaxSplits+1 {
		return id, bad
	}
	id.Position, id.Index = Position(p), uint32(i)
	for _, part := range parts[1:] {
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || n == 0 || n > MaxChildren {
			return id, bad
		}
		id.Path = id.Path<<4 | n
	}
	return id, nil
}

// Compare orders by position, index and path: the order of sealing.
func (id BatchID) Compare(other BatchID) int {
	return cmp.Or(cmp.Compare(id.Position, other.Position), cmp.Compare(id.Index, other.Index), cmp.Compare(id.Path, other.Path))
}

// child returns the id of the nth child (from 0) of a split, or false when no such id exists.
func (id BatchID) child(n int) (BatchID, bool) {
	if n >= MaxChildren || id.Path>>60 != 0 {
		return id, false
	}
	id.Path = id.Path<<4 | uint64(n+1)
	return id, true
}

// Splits returns how many times a batch was split to make this one; MaxSplits is the most.
func (id BatchID) Splits() int {
	n := 0
	for path := id.Path; path != 0; path >>= 4 {
		n++
	}
	return n
}
