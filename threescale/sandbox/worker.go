package sandbox

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// job is what the listener left for the worker: one report, or one authrep's usage.
type job struct {
	service      *service
	flat         bool
	transactions []pending
	due          time.Time // when the worker gets to it, or goes on with it

	begun   bool         // the worker has it in hand
	fault   *WorkerFault // what happens to the worker at it; nil: nothing
	checked *batch       // while the worker waits in the middle of it
	from    int          // the entry of checked that is written next
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

// enqueueLate keeps a job away from the queue until a moment. At the bound the queue has it at once. The caller holds s.mu.
func (s *Sandbox) enqueueLate(j *job, at, now time.Time) {
	if !at.After(now) || len(s.late) >= maxJobs {
		s.enqueue(j, now)
		return
	}
	j.due = at
	i, _ := slices.BinarySearchFunc(s.late, at, func(j *job, at time.Time) int {
		if j.due.After(at) {
			return 1
		}
		return -1 // behind those of the same moment
	})
	s.late = slices.Insert(s.late, i, j)
}

// next does what is to be done about the oldest job. The caller holds s.mu.
func (s *Sandbox) next() {
	j := s.queue[0]
	if !s.process(j) {
		return // the worker waits with the job in hand
	}
	s.free = j.due
	s.queue[0] = nil
	s.queue = s.queue[1:]
	s.pending -= len(j.transactions)
}

// work does what is due: jobs that come late are put at the queue's end, and the oldest of the queue are worked off.
// Everything that looks at counters calls it first, so there is no goroutine to run or to stop. The caller holds s.mu.
func (s *Sandbox) work(now time.Time) {
	for {
		for len(s.late) > 0 && !s.late[0].due.After(now) {
			j := s.late[0]
			s.late = slices.Delete(s.late, 0, 1)
			s.enqueue(j, j.due)
		}
		if !s.takes(now) {
			return
		}
		s.next()
	}
}

// takes reports whether the worker has something to do now, and lets the fault that is to meet a job do so. The caller
// holds s.mu.
func (s *Sandbox) takes(now time.Time) bool {
	if len(s.queue) == 0 {
		return false
	}
	j := s.queue[0]
	if !j.begun {
		begins := j.due
		if s.free.After(begins) {
			begins = s.free
		}
		if begins.After(now) || s.stopped() {
			return false
		}
		if j.fault = s.faults.takeWorker(j); j.fault != nil {
			s.calls.Faults++
			begins = begins.Add(time.Duration(j.fault.Delay))
		}
		j.begun, j.due = true, begins
	}
	return !j.due.After(now)
}

// stopped reports whether the worker stands before the oldest job. The caller holds s.mu.
func (s *Sandbox) stopped() bool {
	return len(s.queue) > 0 && !s.queue[0].begun && s.faults.stops(s.queue[0])
}

// Settle returns once the worker has done all that was queued before the call, or with the context's error. It does not
// wait for what a fault keeps away from the queue, nor for a worker that a fault has stopped.
func (s *Sandbox) Settle(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.work(s.now())
	if len(s.queue) == 0 {
		return nil
	}
	last := s.queue[len(s.queue)-1]
	for {
		now := s.now()
		s.work(now)
		if s.stopped() || !slices.Contains(s.queue, last) {
			return nil
		}
		at := s.queue[0].due
		if s.free.After(at) {
			at = s.free
		}
		s.mu.Unlock()
		err := wait(ctx, at.Sub(now))
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

// process counts a job whole, or discards it whole and remembers the one error it found; a fault may end it in the
// middle. It reports whether the worker is done with it.
func (s *Sandbox) process(j *job) bool {
	b := j.checked
	if b == nil {
		view := s.workers.next()
		b = &batch{job: j, flat: j.flat, metrics: view.metrics(j.service, j.due), at: j.due, now: s.clock(j.due)}
		if err := b.check(view); err != nil {
			s.discard(j, err)
			return true
		}
		s.calls.CrashedTransactions += uint64(b.crashed)
	}
	return s.write(b)
}

// count writes some of a batch's entries.
func (s *Sandbox) count(b *batch, entries []entry) {
	ledger := s.ledger(b.job.service.id)
	for i := range entries {
		e := &entries[i]
		if !ledger.count(e.application.id, e.usage, e.codes, e.moment, b.now) {
			s.calls.CrashedTransactions++
		}
	}
}

func (s *Sandbox) discard(j *job, err error) {
	s.calls.DiscardedBatches++
	s.calls.DiscardedTransactions += uint64(len(j.transactions))
	s.remember(IntegrationError{ServiceID: j.service.id, Transactions: len(j.transactions), At: s.clock(j.due).UTC()}, err)
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
