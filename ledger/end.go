package ledger

import (
	"slices"

	"github.com/reporterd/reporterd/spool"
)

// End says what receipts showed of a batch's report that 3scale did not count whole and once. The zero End: nothing of the kind.
type End struct {
	Kind   string   // Partial, Double or Unconfirmed
	Slices []string // of 400 transactions each: counted, missing, begun or doubled; empty: not known
}

// The kinds of an End.
const (
	Partial     = "partial"     // a part was counted, the rest was not
	Double      = "double"      // a part, or all of it, was counted more often than once
	Unconfirmed = "unconfirmed" // it cannot be found out
)

// The order of these is that of their numbers in the database.
var (
	endKinds    = []string{Partial, Double, Unconfirmed}
	sliceStates = []string{"counted", "missing", "begun", "doubled"}
)

// figures are what delivered usage with this end adds to the figures, for each unit.
func (e End) figures() (f Figures) {
	switch e.Kind {
	case Partial:
		f.Partial = 1
	case Double:
		f.Double = 1
	case Unconfirmed:
		f.Unconfirmed = 1
	}
	return f
}

// firstSlice is the number that stands for the first slice being counted; those of an End's kind are below.
const firstSlice = 16

// use writes the end among the uses of a batch: as cells of no application in hour 0, without usage. Older versions read no usage
// there.
func (e End) use() (u use, ok bool) {
	kind := slices.Index(endKinds, e.Kind)
	if kind < 0 {
		return use{}, false
	}
	u.shares = append(u.shares, share{metric: uint32(kind) + 1})
	for n, state := range e.Slices {
		if i := slices.Index(sliceStates, state); i >= 0 {
			u.shares = append(u.shares, share{metric: uint32(firstSlice + n*len(sliceStates) + i)})
		}
	}
	return u, true
}

// isEnd reports whether a use is an End.
func (u *use) isEnd() bool { return u.hour == 0 && u.app == 0 }

// read takes the numbers of a use that is an End.
func (e *End) read(u *use) {
	for _, s := range u.shares {
		switch n := int(s.metric); {
		case n >= firstSlice:
			e.Slices = append(e.Slices, sliceStates[(n-firstSlice)%len(sliceStates)])
		case n >= 1 && n <= len(endKinds):
			e.Kind = endKinds[n-1]
		}
	}
}

// endOf is what receipts showed of a batch; the zero End where there are none.
func (b *booking) endOf(batch *spool.Batch) End {
	if b.end == nil {
		return End{}
	}
	return b.end(batch.ID)
}
