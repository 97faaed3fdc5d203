// Package receipt finds out what became of a report, from counters of our own that ride in it.
//
// The backend answers 202 before it has looked. Whether it counted the report shows in a counter: a report
// carries transactions of applications that exist for nothing else (receipt applications), and their
// counters are read back by authorize. What the real backend does is measured; facts named here stand in
// protocol/backend-2.md.
//
// The worker writes a report in slices of 400 transactions, grouped by application in the order of first
// appearance. So a receipt stands at the head of each slice and at the report's end, each of another
// application (Arrange).
//
// Reports in flight are told apart by digits: each adds 4^place to one of several metrics, so that its
// digit in base 4 reads 0 (not counted), 1 (counted), 2 or 3 (counted more often). The counters never go
// back, so each report is read against what they stood at when nothing was in flight at its place (the
// base). The difference of two readings has for digits how often each place was counted between them.
//
// Moved proves that the report was counted; not moved proves nothing for minutes. Watch says which
// conclusion is allowed when.
//
// Everything here is a pure state machine: it makes no call, writes no file and reads no clock. A Book is
// for one goroutine, or its owner's mutex guards it.
package receipt

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

const (
	// Places is how many reports one metric tells apart in a round: 4^15 × 3 stays far below what counters hold, and 2^62
	// is not reached for 2^32 reports.
	Places = 16

	// Applications is how many receipt applications a report can carry: one for the head of each slice of 400 among
	// at most 1000 transactions, and one for its end.
	Applications = 4

	// Most is where a counter ends: the limit for eternity of a receipt metric. It is exact up to there (backend-2.md,
	// "Reading counters").
	Most = 1 << 62
)

// The receipt applications by the place that their transaction has in a report.
const (
	First  = 0 // before all other transactions
	Second = 1 // the 401st transaction, at the head of the second slice
	Third  = 2 // the 801st
	Last   = 3 // after all other transactions
)

// Mask is a set of receipt applications.
type Mask uint8

// Has reports whether an application is in the set.
func (m Mask) Has(application int) bool { return m&(1<<application) != 0 }

// Receipt is what a report carries, and what its counters stood at before: the record of an attempt holds it, so that a
// start can read it.
type Receipt struct {
	Metric int  // its number
	Place  int  // below Places
	Mask   Mask // the applications that carry it
	Base   [Applications]uint64
}

// Increment is what each of its transactions adds.
func (r *Receipt) Increment() uint64 { return 1 << (2 * r.Place) }

// digit is what a place of a difference reads.
func digit(difference uint64, place int) uint8 { return uint8(difference >> (2 * place) & 3) }

// version is the first byte of a written receipt.
const version = 1

var errReceipt = errors.New("receipt: expected version 1, metric, place, applications and their bases")

// Append writes the receipt: version, metric, place, mask, then the base of each application in it, as unsigned varints.
func (r *Receipt) Append(dst []byte) []byte {
	dst = append(dst, version, byte(r.Metric), byte(r.Place), byte(r.Mask))
	for a := range Applications {
		if r.Mask.Has(a) {
			dst = binary.AppendUvarint(dst, r.Base[a])
		}
	}
	return dst
}

// Parse reads what Append wrote.
func Parse(data []byte) (Receipt, error) {
	if len(data) < 4 || data[0] != version || data[2] >= Places || data[3] == 0 || bits.Len8(data[3]) > Applications {
		return Receipt{}, errReceipt
	}
	r := Receipt{Metric: int(data[1]), Place: int(data[2]), Mask: Mask(data[3])}
	data = data[4:]
	for a := range Applications {
		if !r.Mask.Has(a) {
			continue
		}
		base, n := binary.Uvarint(data)
		if n <= 0 {
			return Receipt{}, errReceipt
		}
		r.Base[a], data = base, data[n:]
	}
	if len(data) > 0 {
		return Receipt{}, errReceipt
	}
	return r, nil
}
