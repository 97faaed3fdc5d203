package sandbox

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// WorkerFault is what happens to the worker at a job: a report, or an authrep's usage. The zero WorkerFault changes
// nothing. What is measured on the real backend stands in protocol/backend-2.md, "Reports and jobs".
//
// The worker checks a job as a whole, and then writes it in slices of 400 transactions, grouped by application in the
// order of first appearance. Kill, Fail and Restart happen once so many transactions of the job are written; beyond the
// last of them they happen behind it. At most one of the three stands in a fault.
type WorkerFault struct {
	Times     int     `json:"times,omitempty"`      // how many jobs; 0 is every job until the faults are replaced or reset
	Chance    float64 `json:"chance,omitempty"`     // the probability, above 0 and up to 1, that a job which could meet it does; 0 is always
	ServiceID string  `json:"service_id,omitempty"` // only jobs of this service
	Least     int     `json:"least,omitempty"`      // only jobs of at least so many transactions

	// Stop lets the worker stand before such a job, and with it before all that is queued behind, until the faults
	// are replaced. It is not used up.
	Stop bool `json:"stop,omitempty"`
	// Delay is how long the worker has the job in hand before it writes it. Those behind wait.
	Delay Duration `json:"delay,omitempty"`
	// Kill ends the worker in the middle of the job: what is written stays, the job is gone without a trace.
	Kill *int `json:"kill,omitempty"`
	// Fail lets the job fail: what is written stays, and the whole job is run again after Rerun, at the queue's end.
	Fail  *int     `json:"fail,omitempty"`
	Rerun Duration `json:"rerun,omitempty"` // 0: 300 s, as the real backend
	// Restart restarts the database in the middle of the job: the worker waits 5 s, then sends the whole slice again.
	// What is written of that slice by then counts twice.
	Restart *int `json:"restart,omitempty"`
}

const (
	sliceSize     = 400               // transactions that the worker writes at once
	rerunAfter    = 300 * time.Second // after which a job that failed is run again
	databasePause = 5 * time.Second   // which the worker waits for its database before it sends a slice again
)

func (f *WorkerFault) check() error {
	points := 0
	for _, at := range []*int{f.Kill, f.Fail, f.Restart} {
		if at == nil {
			continue
		}
		if points++; *at < 0 {
			return fmt.Errorf("kill, fail, restart: %d is below 0", *at)
		}
	}
	switch {
	case points > 1:
		return fmt.Errorf("kill, fail, restart: at most one of them in a fault")
	case f.Times < 0:
		return fmt.Errorf("times: %d is below 0", f.Times)
	case f.Least < 0:
		return fmt.Errorf("least: %d is below 0", f.Least)
	case f.Chance < 0 || f.Chance > 1:
		return fmt.Errorf("chance: %v is not between 0 and 1", f.Chance)
	case f.Delay < 0:
		return fmt.Errorf("delay: %v is below 0", time.Duration(f.Delay))
	case f.Rerun < 0:
		return fmt.Errorf("rerun: %v is below 0", time.Duration(f.Rerun))
	}
	return nil
}

// meets reports whether a job could meet the fault.
func (f *WorkerFault) meets(j *job) bool {
	return (f.ServiceID == "" || f.ServiceID == j.service.id) && len(j.transactions) >= f.Least
}

// stops reports whether a fault keeps the worker from a job.
func (f *Faults) stops(j *job) bool {
	return slices.ContainsFunc(f.Worker, func(w WorkerFault) bool { return w.Stop && w.meets(j) })
}

// takeWorker returns the fault that meets a job, or nil, and uses it up.
func (f *Faults) takeWorker(j *job) *WorkerFault {
	for i := range f.Worker {
		fault := &f.Worker[i]
		if fault.Stop || !fault.meets(j) || fault.Chance > 0 && rand.Float64() >= fault.Chance {
			continue
		}
		taken := *fault
		if fault.Times == 1 {
			f.Worker = slices.Delete(slices.Clone(f.Worker), i, i+1)
		} else if fault.Times > 1 {
			fault.Times--
		}
		return &taken
	}
	return nil
}

// write counts a checked job as far as its fault lets it, and reports whether the worker is done with it.
func (s *Sandbox) write(b *batch) bool {
	j, f := b.job, b.job.fault
	upTo := func(n int) []entry { return b.entries[j.from:max(j.from, min(n, len(b.entries)))] }
	switch {
	case f == nil, j.from > 0 || j.checked != nil:
		s.count(b, b.entries[j.from:])
	case f.Kill != nil:
		s.count(b, upTo(*f.Kill))
	case f.Fail != nil:
		s.count(b, upTo(*f.Fail))
		s.runAgain(j)
	case f.Restart != nil:
		written := upTo(*f.Restart)
		s.count(b, written)
		if len(written) > 0 {
			j.from = (len(written) - 1) / sliceSize * sliceSize
		}
		j.checked, j.due = b, j.due.Add(databasePause)
		return false
	default:
		s.count(b, b.entries)
	}
	return true
}

// runAgain puts a job that failed back, as it was when it came.
func (s *Sandbox) runAgain(j *job) {
	after := rerunAfter
	if j.fault.Rerun > 0 {
		after = time.Duration(j.fault.Rerun)
	}
	again := &job{service: j.service, flat: j.flat, transactions: j.transactions}
	s.enqueueLate(again, j.due.Add(after), j.due)
}
