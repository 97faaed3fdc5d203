package ledger

import (
	"errors"

	"go.etcd.io/bbolt"
	fault "go.etcd.io/bbolt/errors"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
)

// maxName is how long a name may be that the ledger can book, bytes: a key of the database has one byte more.
const maxName = bbolt.MaxKeySize - 1

// saidAside bounds how many batches the log names for one transaction of the database.
const saidAside = 10

// aside is usage that was not booked: of which batches, and how many transactions (or whole records) of them.
type aside struct {
	count   uint64
	batches []string // the first of them
	reason  string
}

func (a *aside) add(batch *spool.Batch, n int, reason string) {
	if n == 0 {
		return
	}
	a.count, a.reason = a.count+uint64(n), reason
	if id := batch.ID.String(); len(a.batches) < saidAside && (len(a.batches) == 0 || a.batches[len(a.batches)-1] != id) {
		a.batches = append(a.batches, id)
	}
}

// bookable reports whether the database can take the names of a transaction. The answer is the same for every record that
// has the transaction, so that what is never booked as accepted is never booked as delivered either.
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

// setAside counts the transactions of a new batch that cannot be booked. What happens to them later is left out as well, and
// not counted again.
func (b *booking) setAside(a *spool.BatchEvent) {
	if a.Kind != spool.BatchSealed && a.Kind != spool.BatchRequeued {
		return
	}
	n := 0
	for i := range a.Batch.Transactions {
		if !b.bookable(a.Batch, &a.Batch.Transactions[i]) {
			n++
		}
	}
	b.aside.add(a.Batch, n, "a name is longer than 32 KiB")
}

// refused reports whether the database refuses what it was given, so that the same attempt fails for ever. Errors of the disk
// are not refusals.
func refused(err error) bool {
	for _, target := range []error{fault.ErrKeyTooLarge, fault.ErrValueTooLarge, fault.ErrKeyRequired, fault.ErrIncompatibleValue} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

var errTrial = errors.New("only a trial")

// isolate takes the records out of what was gathered that the database refuses. Each is tried alone, in a transaction that is
// rolled back and costs no write to the disk. It reports whether there were any.
func (r *run) isolate() bool {
	kept, found := r.gathered[:0], false
	for i := range r.gathered {
		account := r.gathered[i]
		var trial names
		err := r.update(func(tx *bbolt.Tx) error {
			b := r.newBooking(tx, &trial)
			b.account(&account)
			if err := b.write(); err != nil {
				return err
			}
			return errTrial
		})
		if refused(err) {
			r.aside.add(account.Batch, len(account.Batch.Transactions), err.Error())
			r.missed, found = true, true
			continue
		}
		kept = append(kept, account)
	}
	r.gathered = kept
	return found
}

// sayAside logs what was set aside, once it is durable that it was.
func (r *run) sayAside() {
	for _, a := range []*aside{&r.aside, &r.left} {
		if a.count == 0 {
			continue
		}
		r.options.Log.Error("usage cannot be booked and is missing from the ledger; its delivery is not affected",
			zap.String("reason", a.reason), zap.Uint64("transactions", a.count), zap.Strings("batches", a.batches))
		n := a.count
		r.note(func(s *Stats) { s.SetAside += n })
		*a = aside{}
	}
}
