package spool

import "time"

// Resolution says where each transaction of a batch ends: each index stands in exactly one of the three.
type Resolution struct {
	Delivered []int        // taken by the backend
	Dead      []DeadLetter // with Index, Reason, Answer; the rest is filled in
	Children  [][]int      // each becomes a live batch of its own; at most 15, 16 splits deep
}

// Attempt records that a report of the batch is about to be sent. It returns once durable.
func (s *Spool) Attempt(id BatchID, at time.Time) error { return nil }

// Answered records that the last attempt had a definite answer, so that a crash from now on does not
// count it as ambiguous. It does not wait until that is durable.
func (s *Spool) Answered(id BatchID) error { return nil }

// Ambiguous records that nobody knows what became of the last attempt: its events are counted, and stay
// pending. It returns once durable.
func (s *Spool) Ambiguous(id BatchID) error { return nil }

// Resolve ends a batch in one atomic record. It returns once durable; the dead letter files are written
// before. Resolving again after a crash or an error has the same effect.
func (s *Spool) Resolve(id BatchID, r Resolution) error { return nil }

// Lose ends a batch that cannot be read: its bytes go to quarantine/, its events are counted as lost.
func (s *Spool) Lose(id BatchID) error { return nil }
