package batcher

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// counter is what the backend keeps apart.
type counter struct {
	lane        lane
	application threescale.Application
	metric      string
	minute      int64
}

// coded is what it keeps of a transaction with a response code.
type coded struct {
	lane        lane
	application threescale.Application
	minute      int64
	code        int
}

// ledger is everything that the window and its division must not change.
type ledger struct {
	usage  map[counter]uint64
	codes  map[coded]int
	events uint64
}

func newLedger() *ledger {
	return &ledger{usage: map[counter]uint64{}, codes: map[coded]int{}}
}

func (g *ledger) book(l lane, t *threescale.Transaction, events uint64) {
	for _, u := range t.Usage {
		g.usage[counter{l, t.Application, u.Metric, minute(t.Timestamp)}] += u.Value
	}
	if t.Code != 0 && len(t.Usage) > 0 { // without usage nothing is counted, the code neither
		g.codes[coded{l, t.Application, minute(t.Timestamp), t.Code}]++
	}
	g.events += events
}

// batch is one sealed batch, as far as it matters here.
type batch struct {
	lane         lane
	transactions []spool.Transaction
}

// seal divides a window as Batcher.seal does.
func seal(t *testing.T, w *window, c caps) (batches []batch) {
	t.Helper()
	for _, q := range w.queues {
		for _, run := range runs(t, c, headCost(q.LaneKey), q.transactions) {
			batches = append(batches, batch{q.lane, run})
		}
	}
	return batches
}

// randomEvent draws from few of everything, so that much of it meets.
func randomEvent(r *rand.Rand) *event.Event {
	e := &event.Event{ServiceID: fmt.Sprint("service", r.IntN(3)), FlatUsage: r.IntN(8) == 0}
	if r.IntN(4) == 0 {
		e.Credentials.ServiceToken = fmt.Sprint("token&", r.IntN(2))
	}
	name := fmt.Sprint("é ", r.IntN(20))
	if r.IntN(3) == 0 {
		e.Application.UserKey = name
	} else {
		e.Application.ID = name
	}
	e.Timestamp = noon + r.Int64N(240)
	if r.IntN(5) == 0 {
		e.Code = 100 + r.IntN(3)
	}
	for _, m := range r.Perm(100)[:r.IntN(1+r.IntN(12))] {
		e.Usage = append(e.Usage, threescale.Increment{Metric: fmt.Sprint("metric[", m), Value: 1 + r.Uint64N(1<<r.IntN(53))})
	}
	return e
}

func randomCaps(r *rand.Rand) caps {
	return caps{transactions: 1 + r.IntN(50), params: 8 + r.IntN(200), bytes: headroom + 600 + r.IntN(20000)}
}

func TestBatchesHoldWhatTheEventsHeld(t *testing.T) {
	for seed := range uint64(60) {
		r := rand.New(rand.NewPCG(seed, 2))
		w, c, in := newWindow(r.IntN(4) > 0), randomCaps(r), newLedger()
		var events []*event.Event
		for round := range 2 { // the second with the memory of the first
			if round == 1 {
				w.reset()
				events, in = nil, newLedger()
			}
			for range r.IntN(1500) {
				e := randomEvent(r)
				events = append(events, e)
				w.add(e)
				in.book(lane{spool.LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}, e.FlatUsage}, &e.Transaction, 1)
			}
			batches := seal(t, w, c)
			checkBatches(t, seed, in, batches, c, w.nothing)
			again := fill(w.aggregate, events...)
			require.Equal(t, batches, seal(t, again, c), "seed %d: the same journal gives the same batches", seed)
		}
	}
}

func checkBatches(t *testing.T, seed uint64, in *ledger, batches []batch, c caps, nothing uint64) {
	t.Helper()
	out := newLedger()
	out.events = nothing
	for _, b := range batches {
		total := headCost(b.lane.LaneKey)
		for i := range b.transactions {
			tx := &b.transactions[i]
			out.book(b.lane, &tx.Transaction, uint64(tx.Events))
			total = total.plus(tx.FormCost(i))
			for _, u := range tx.Usage {
				require.LessOrEqual(t, u.Value, uint64(threescale.MaxValue), "seed %d", seed)
			}
			if tx.Code != 0 {
				require.LessOrEqual(t, tx.Events, uint32(1), "seed %d: a code belongs to one event", seed)
			}
		}
		require.LessOrEqual(t, len(b.transactions), c.transactions, "seed %d", seed)
		require.LessOrEqual(t, total.params, c.params, "seed %d", seed)
		require.LessOrEqual(t, total.bytes, c.bytes, "seed %d", seed)
	}
	assert.Equal(t, in, out, "seed %d", seed)
}
