package ledger

import (
	"context"
	"errors"

	"go.etcd.io/bbolt"
	fault "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
)

// maxName is the maximum length in bytes of a name that the ledger can book: a key of the database has one byte more.
const maxName = bbolt.MaxKeySize - 1

// maxLoggedBatches limits how many batch ids a log line contains.
const maxLoggedBatches = 10

// unbooked counts usage that was not booked: the transactions (or all of a refused record's), and the ids of their batches.
type unbooked struct {
	count   uint64
	batches []string // the first of them
	reason  string
}

func (a *unbooked) add(batch *spool.Batch, n int, reason string) {
	if n == 0 {
		return
	}
	a.count, a.reason = a.count+uint64(n), reason
	if id := batch.ID.String(); len(a.batches) < maxLoggedBatches && (len(a.batches) == 0 || a.batches[len(a.batches)-1] != id) {
		a.batches = append(a.batches, id)
	}
}

// bookable reports whether the names of a transaction fit into the database. The result is the same for all records about the
// transaction, so usage that is not booked as accepted is not booked as delivered either.
func (b *booking) bookable(batch *spool.Batch, t *spool.Transaction) bool {
	if len(batch.Lane.ServiceID) > b.maxName || t.Application.UserKey == "" && len(t.Application.ID) > b.maxName {
		return false
	}
	for i := range t.Usage {
		if len(t.Usage[i].Metric) > b.maxName {
			return false
		}
	}
	return true
}

// countUnbooked counts the transactions of a new batch that cannot be booked. Later records about them are skipped, and not counted
// again.
func (b *booking) countUnbooked(a *spool.BatchEvent) {
	if a.Kind != spool.BatchSealed && a.Kind != spool.BatchRequeued {
		return
	}
	n := 0
	for i := range a.Batch.Transactions {
		if !b.bookable(a.Batch, &a.Batch.Transactions[i]) {
			n++
		}
	}
	b.unbooked.add(a.Batch, n, "a name is longer than 32 KiB")
}

// refused reports whether the database refuses a change, so that every retry fails. Disk errors are not refusals.
func refused(err error) bool {
	for _, target := range []error{fault.ErrKeyTooLarge, fault.ErrValueTooLarge, fault.ErrKeyRequired, fault.ErrIncompatibleValue} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

var (
	errTrial      = errors.New("trial transaction, rolled back")
	errNothingNew = errors.New("no new name, rolled back")
)

// isolate removes the records that the database refuses from what was gathered. It tries each record alone, in a transaction that
// is rolled back and not written to disk. It reports whether there were any.
func (r *run) isolate() bool {
	kept, found := r.gathered[:0], false
	for i := range r.gathered {
		event := r.gathered[i]
		var trial names
		err := r.update(func(tx *bbolt.Tx) error {
			b := r.newBooking(tx, &trial)
			b.event(&event)
			if err := b.write(context.Background()); err != nil {
				return err
			}
			return errTrial
		})
		if refused(err) {
			r.refused.add(event.Batch, len(event.Batch.Transactions), err.Error())
			r.missed, found = true, true
			continue
		}
		kept = append(kept, event)
	}
	r.gathered = kept
	return found
}

// logUnbooked logs usage that was not booked, after the transaction without it is durable.
func (r *run) logUnbooked() {
	for _, a := range []*unbooked{&r.refused, &r.skipped} {
		if a.count == 0 {
			continue
		}
		r.options.Log.Error("usage cannot be booked and is missing from the ledger; its delivery is not affected",
			zap.String("reason", a.reason), zap.Uint64("transactions", a.count), zap.Strings("batches", a.batches))
		n := a.count
		r.updateStats(func(s *Stats) { s.SetAside += n })
		*a = unbooked{}
	}
}
