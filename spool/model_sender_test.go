package spool_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool"
)

// sender does what the sender does: attempt, and one of the outcomes. An outcome that could not be
// recorded is recorded again, for it has happened.
type sender struct {
	book *book
	rng  *rand.Rand
	disk platform
	owed []*sealed // outcomes to record again
	digs bool      // it requeues dead letters, too
}

// step is one report, or an outcome that is still owed. A full disk may take the one and not the other.
func (q *sender) step(s *spool.Spool) {
	if len(q.owed) > 0 && q.rng.IntN(2) == 0 {
		known := q.owed[0]
		q.owed = q.owed[1:]
		q.settle(s, known)
		return
	}
	if q.digs && q.rng.IntN(5) == 0 {
		q.dig(s)
	}
	infos := s.Batches()
	if len(infos) == 0 {
		return
	}
	id := infos[q.rng.IntN(len(infos))].ID
	if !slices.ContainsFunc(q.owed, func(known *sealed) bool { return known.batch.ID == id }) {
		q.report(s, id)
	}
}

// report loads a batch, attempts it and records an outcome.
func (q *sender) report(s *spool.Spool, id spool.BatchID) {
	batch, err := s.Load(id)
	if err != nil {
		q.complain("Load", err)
		return
	}
	known := q.book.loaded(batch)
	if known == nil {
		return
	}
	known.tries++
	attempt := func() error { return s.Attempt(id, time.Now()) }
	receipt := known.receipt
	if q.rng.IntN(2) == 0 {
		receipt = fmt.Sprintf("%s %d", id, known.tries)
		attempt = func() error { return s.AttemptWithReceipt(id, time.Now(), []byte(receipt)) }
	}
	if err := attempt(); err != nil {
		q.complain("Attempt", err)
		return
	}
	known.attempts++
	known.receipt = receipt
	switch q.rng.IntN(6) {
	case 0:
		return // the answer never came, or the process dies first
	case 1:
		known.doubts++
		if err := s.Ambiguous(id); err != nil {
			q.complain("Ambiguous", err)
			return
		}
		known.ambiguous++
		return
	case 2:
		end := s.Answered
		if receipt != "" && q.rng.IntN(2) == 0 {
			end = s.Sent
		}
		if err := end(id); err != nil {
			q.complain("Answered", err)
		}
		return
	}
	q.book.resolving(known, q.outcome(known))
	q.settle(s, known)
}

// settle records an outcome, now or later.
func (q *sender) settle(s *spool.Spool, known *sealed) {
	if err := s.Resolve(known.batch.ID, known.outcome.resolution); err != nil {
		q.complain("Resolve", err)
		q.owed = append(q.owed, known)
		return
	}
	q.book.resolve(known)
}

// outcome draws one: every transaction is delivered, dead or goes on in a child.
func (q *sender) outcome(known *sealed) *outcome {
	o := &outcome{}
	mixed := q.rng.IntN(2) == 0
	halves := make([][]int, 2)
	for i := range known.batch.Transactions {
		fate := 0
		if mixed {
			fate = q.rng.IntN(4)
		}
		switch fate {
		case 0:
			o.resolution.Delivered = append(o.resolution.Delivered, i)
		case 1:
			o.resolution.Dead = append(o.resolution.Dead, spool.DeadLetter{
				Index: i, Reason: spool.Reason{Code: "metric_invalid", Message: "metric is invalid"},
			})
		default:
			halves[fate-2] = append(halves[fate-2], i)
		}
	}
	for _, half := range halves {
		if len(half) > 0 && len(known.batch.ID.String()) < 20+2*8 { // at most 16 splits deep
			o.resolution.Children = append(o.resolution.Children, half)
			o.children = append(o.children, known.child(len(o.children), half))
		} else {
			o.resolution.Delivered = append(o.resolution.Delivered, half...)
		}
	}
	return o
}

// complain is for errors that nothing explains.
func (q *sender) complain(what string, err error) {
	if !q.disk.Stopped() && !isFault(err) {
		q.book.fault("%s: %v", what, err)
	}
}
