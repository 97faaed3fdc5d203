package sandbox

import (
	"context"
	"errors"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// job is what the listener left for the worker: one report, or one authrep's usage.
type job struct {
	service      *service
	flat         bool
	transactions []pending
	due          time.Time // when the worker gets to it; its clock then
}

// pending is one transaction of a job. application is its id where the listener has found out already
// (authrep); otherwise raw names it.
type pending struct {
	application string
	raw         threescale.RawTransaction
}

// The queue's bounds: when one is reached, the oldest job is worked off early.
const (
	maxJobs                = 1000
	maxPendingTransactions = 200_000
)

// enqueue hands a job to the worker. The caller holds s.mu.
func (s *Sandbox) enqueue(j *job, now time.Time) {
	j.due = now.Add(s.workerDelay)
	s.queue = append(s.queue, j)
	s.pending += len(j.transactions)
	for len(s.queue) > maxJobs || s.pending > maxPendingTransactions && len(s.queue) > 1 {
		s.next()
	}
}

// next takes the oldest job. The caller holds s.mu.
func (s *Sandbox) next() {
	j := s.queue[0]
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.pending -= len(j.transactions)
	s.process(j)
}

// work takes the jobs that are due. Everything that looks at counters calls it first, so there is no
// goroutine to run or to stop. The caller holds s.mu.
func (s *Sandbox) work(now time.Time) {
	for len(s.queue) > 0 && !s.queue[0].due.After(now) {
		s.next()
	}
}

// Settle returns once the worker has done all that was queued before the call, or with the context's error.
func (s *Sandbox) Settle(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := s.now()
	if n := len(s.queue); n > 0 {
		until = s.queue[n-1].due
	}
	for {
		now := s.now()
		s.work(now)
		if !until.After(now) {
			return nil
		}
		s.mu.Unlock()
		err := wait(ctx, until.Sub(now))
		s.mu.Lock()
		if err != nil {
			return err
		}
	}
}

// wait returns after d, or when the context ends, with its error.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// process counts a job whole, or discards it whole and remembers the one error it found.
func (s *Sandbox) process(j *job) {
	b := batch{job: j, flat: j.flat, metrics: j.service.metrics, now: j.due}
	if err := b.check(s.worker); err != nil {
		s.discard(j, err)
		return
	}
	ledger := s.ledger(j.service.id)
	for i := range b.entries {
		e := &b.entries[i]
		if !ledger.count(e.application.id, e.usage, e.codes, e.moment, b.now) {
			s.calls.CrashedTransactions++
		}
	}
	s.calls.CrashedTransactions += uint64(b.crashed)
}

func (s *Sandbox) discard(j *job, err error) {
	s.calls.DiscardedBatches++
	s.calls.DiscardedTransactions += uint64(len(j.transactions))
	s.remember(IntegrationError{ServiceID: j.service.id, Transactions: len(j.transactions), At: j.due.UTC()}, err)
}

// remember stores an error as the backend does, the latest maxErrors of them.
func (s *Sandbox) remember(stored IntegrationError, err error) {
	var e *threescale.Error
	if !errors.As(err, &e) || e.Empty {
		return
	}
	stored.Code, stored.Message = e.Code, threescale.Redact(e.Code, e.Text)
	if len(s.errors) == maxErrors {
		s.errors = append(s.errors[:0], s.errors[1:]...)
	}
	s.errors = append(s.errors, stored)
}
