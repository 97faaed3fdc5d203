package authorize

import (
	"context"
	"fmt"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"slices"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// save writes the file that a restart or a crash leaves.
func (h *history) save() {
	if !h.Loaded() {
		return
	}
	h.saved, h.savedAt = h.world.save(), len(h.outcomes)
	h.tell("save")
}

// restart begins a new life, after a stop in good order or a kill, with what is on disk: the file that was written last, what
// became of batches since, and what is pending.
func (h *history) restart() {
	stopped := h.r.IntN(2) == 0
	if stopped {
		h.save()
	}
	h.tell("restart, stopped %v", stopped)
	h.killed()
	h.options.pending = h.backlog
	h.Authorizer, h.Tracker = h.options.new()
	if h.saved != "" {
		require.NoError(h.t, h.restore(h.saved))
	}
	for _, o := range h.outcomes[h.savedAt:] {
		for i := range o.delivered {
			h.Replay(o.lane, &o.delivered[i].Transaction, false)
		}
	}
	h.Follow()
	var ctx context.Context
	ctx, h.killed = context.WithCancel(h.t.Context())
	go func(q *quota.Tracker) { assert.NoError(h.t, q.Run(ctx)) }(h.Tracker) // killed ends it
}

// backlog is what is on disk, which takes its time to be read, and fails to be now and then. A report that has ended
// is not there any more.
func (h *history) backlog() quota.Backlog {
	r := rand.New(rand.NewPCG(h.r.Uint64(), 0))
	slow := int64(1 + r.IntN(1000))
	read := func() error {
		pass(time.Duration(r.Int64N(slow)) * time.Millisecond)
		if r.IntN(5) == 0 {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	batches, left := maps.Clone(h.batches), slices.Clone(h.journal.events)
	b := quota.Backlog{Close: func() {}}
	for name, events := range batches { // in any order
		b.Reports = append(b.Reports, quota.PendingReport{Batch: name, Transactions: len(events), Attempted: h.attempted[name]})
	}
	ended := h.ended
	b.Read = func(name string) (quota.Lane, []threescale.Transaction, error) {
		if err := read(); err != nil {
			return quota.Lane{}, nil, err
		}
		if _, gone := ended.Load(name); gone {
			return quota.Lane{}, nil, quota.ErrNoReport
		}
		var list []threescale.Transaction
		for _, e := range batches[name] {
			list = append(list, e.Transaction)
		}
		return laneFor(batches[name][0]), list, nil
	}
	b.Next = func(context.Context) (iter.Seq[quota.Usage], error) {
		if err := read(); err != nil {
			return nil, err
		}
		if len(left) == 0 {
			return nil, io.EOF
		}
		n := min(len(left), 3)
		next := left[:n]
		left = left[n:]
		return usageOf(next), nil
	}
	return b
}

// worker lets the backend's worker stand for a while, or go on.
func (h *history) worker() {
	stop := h.resumes.IsZero()
	if stop {
		h.resumes = time.Now().Add(time.Duration(h.r.Int64N(int64(behind))))
	} else {
		h.resumes = time.Time{}
	}
	h.afflict()
	h.tell("worker stands: %v", stop)
}

// clock steps the clock of the backend. A step of the daemon's own clock forward is time that passes; see quota.TestClockGoesBack for
// one that goes back.
func (h *history) clock() {
	h.skew = time.Duration(h.r.Int64N(2*int64(skewed))) - skewed
	h.afflict()
	h.tell("the backend's clock is ahead by %v", h.skew)
}

// afflict makes worker and clock of the backend what they are now.
func (h *history) afflict() {
	f := sandbox.Faults{Backend: &sandbox.Backend{Clock: sandbox.Duration(h.skew)}}
	if !h.resumes.IsZero() {
		f.Worker = append(f.Worker, sandbox.WorkerFault{Stop: true})
	}
	require.NoError(h.t, h.sandbox.SetFaults(f))
	synctest.Wait()
}

// pass lets time go by. The worker goes on when its time comes.
func (h *history) pass(d time.Duration) {
	h.tell("pass %v", d)
	if left := time.Until(h.resumes); !h.resumes.IsZero() && d > left {
		pass(max(0, left))
		h.worker()
		d -= max(0, left)
	}
	pass(d)
}

// crowd drives the application out of memory, as far as it can be forgotten.
func (h *history) crowd() {
	for i := range 40 {
		h.get("authorize", "app_id", fmt.Sprint("bulk", i+1))
	}
	h.tell("crowd")
}
