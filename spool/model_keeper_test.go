package spool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/reporterd/reporterd/spool"
)

// keeper does what the ledger does: it reads what became of batches, books it, and tells the spool. What it booked
// outlives every crash, as the ledger's file does.
type keeper struct {
	book     *book
	rng      *rand.Rand
	disk     platform
	accounts *spool.ChangeFeed // of this life
	now      sums
	booked   sums
}

// sums are events, by what the accounts say of them, up to a place in the batch log.
type sums struct {
	next                              uint64
	sealed, requeued, delivered, dead uint64
}

// begin makes the reader of this life, behind what is booked.
func (k *keeper) begin(s *spool.Spool) {
	if k.accounts == nil {
		k.now = k.booked
		s.Booked(max(1, k.booked.next))
		k.accounts = s.ChangeFeed()
	}
}

// step reads a page, and books with some chance. It reports whether there was one.
func (k *keeper) step(ctx context.Context, s *spool.Spool, wait time.Duration) bool {
	k.begin(s)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	page, err := k.accounts.Next(ctx)
	if err != nil {
		if !k.disk.Stopped() && !isFault(err) && !errors.Is(err, context.DeadlineExceeded) {
			k.book.fault("Accounts: %v", err)
		}
		return false
	}
	if page.Missed {
		k.book.fault("the accounts up to %d say that something is missing", page.Next)
	}
	for _, a := range page.Events {
		k.now.add(&a)
	}
	k.now.next = max(k.now.next, page.Next)
	if k.rng.IntN(2) == 0 {
		k.booked = k.now
		s.Booked(max(1, k.now.next))
	}
	return true
}

// end forgets the reader with the life it belongs to.
func (k *keeper) end() {
	if k.accounts != nil {
		_ = k.accounts.Close()
		k.accounts = nil
	}
}

// balance reads what is left and compares the sums with the counts.
func (k *keeper) balance(ctx context.Context, s *spool.Spool) {
	k.begin(s)
	for max(1, k.now.next) < s.ChangesEnd() { // 1: nothing was ever recorded
		if !k.step(ctx, s, time.Minute) {
			k.book.fault("the accounts end at %d, the batch log at %d", k.now.next, s.ChangesEnd())
			return
		}
	}
	counts, nothing := s.Counts(), uint64(0)
	k.book.mu.Lock()
	for _, e := range k.book.entries {
		if e.at == isDelivered && len(e.event.Usage) == 0 {
			nothing++
		}
	}
	k.book.mu.Unlock()
	if k.now.delivered+nothing != counts.Delivered || k.now.dead-k.now.requeued != counts.Dead {
		k.book.fault("the accounts say %+v, beside %d events without usage; the counts %+v", k.now, nothing, counts)
	}
}

// add follows one account.
func (f *sums) add(a *spool.BatchEvent) {
	n := events(a.Batch.Transactions)
	switch a.Kind {
	case spool.BatchSealed:
		f.sealed += n
	case spool.BatchRequeued:
		f.requeued += n
	case spool.BatchEnded:
		for _, child := range a.Children {
			n -= events(child.Transactions)
		}
		f.dead += events(a.Dead)
		f.delivered += n - events(a.Dead)
	}
}

// events counts what some transactions stand for.
func events(transactions []spool.Transaction) (n uint64) {
	for i := range transactions {
		n += uint64(transactions[i].Events)
	}
	return n
}
