package authorize

import (
	"iter"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

var lane1001 = quota.Lane{ServiceID: "1001"}

func some(events []event.Event, indices ...int) iter.Seq2[int, *threescale.Transaction] {
	return func(yield func(int, *threescale.Transaction) bool) {
		for _, i := range indices {
			if !yield(i, &events[i].Transaction) {
				return
			}
		}
	}
}

func with(events []event.Event, outcomes ...quota.Outcome) iter.Seq2[*threescale.Transaction, quota.Outcome] {
	return func(yield func(*threescale.Transaction, quota.Outcome) bool) {
		for i, o := range outcomes {
			if !yield(&events[i].Transaction, o) {
				return
			}
		}
	}
}

// TestPartOfABatch: of a batch whose first transaction is too old to be sent only the second is, again and again.
func TestPartOfABatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("part", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 1000})
		for range 2 {
			require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "part", "usage[hits]", "100").status)
		}
		events := w.journal.take()
		for range 5 {
			w.Sending("b", lane1001, some(events, 1))
			w.Settled("b", lane1001, with(events, quota.Returned, quota.Returned))
			pass(DefaultTTL)
			assert.EqualValues(t, 200, w.get("authorize", "app_id", "part").current(t, "hits", threescale.Eternity))
		}
		w.Sending("b", lane1001, some(events, 1))
		w.Settled("b", lane1001, with(events, quota.Refused, quota.Delivered))
		w.others("part", 100)
		pass(time.Hour)
		assert.EqualValues(t, 100, w.get("authorize", "app_id", "part").current(t, "hits", threescale.Eternity))
	})
}

// TestExpiredInDoubt: a report whose outcome is unknown becomes too old to be sent again.
func TestExpiredInDoubt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("doubted", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 1000})
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "doubted", "usage[hits]", "100").status)
		events := w.journal.take()
		w.Sending("b", lane1001, some(events, 0))
		pass(25 * time.Hour)
		w.Settled("b", lane1001, with(events, quota.Refused))
		w.others("doubted", 50)
		pass(time.Hour)
		assert.EqualValues(t, 50, w.get("authorize", "app_id", "doubted").current(t, "hits", threescale.Eternity))
	})
}

// TestBuriedUnsent: what is known to be refused becomes a dead letter without being sent, and what became one is
// requeued: the first does not weigh, the second does, once.
func TestBuriedUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("buried", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 1000})
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "buried", "usage[hits]", "100").status)
		events := w.journal.take()
		current := func() int64 {
			pass(DefaultTTL)
			return w.get("authorize", "app_id", "buried").current(t, "hits", threescale.Eternity)
		}
		assert.EqualValues(t, 100, current())
		w.Settled("b", lane1001, with(events, quota.Refused))
		assert.EqualValues(t, 0, current())
		w.Requeue(func() []quota.Usage { return []quota.Usage{{Lane: lane1001, Transaction: &events[0].Transaction}} })
		assert.EqualValues(t, 100, current())
		w.Sending("r", lane1001, some(events, 0))
		w.others("buried", 100) // it is counted
		assert.EqualValues(t, 100, current())
		w.Settled("r", lane1001, with(events, quota.Delivered))
		assert.EqualValues(t, 100, current())
		pass(time.Hour)
		assert.EqualValues(t, 100, current())
	})
}

// TestFirstAnswerBesideAReport: the first answer about an application came while a report of its usage was in flight, so that it left open
// whether the report is in the counter. The next one, with nothing in flight, decides it.
func TestFirstAnswerBesideAReport(t *testing.T) {
	for _, counted := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			first := newWorld(t, nil)
			first.limited("beside", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
			require.Equal(t, http.StatusOK, first.get("authrep", "app_id", "beside", "usage[hits]", "64").status)
			events := first.journal.take()
			second := newWorld(t, func(o *worldOptions) {
				o.Client = first.client
				o.pending = func() quota.Backlog { return unsealed(events) }
			})
			second.load()
			second.Sending("b", lane1001, some(events, 0))
			if counted {
				first.others("beside", 64) // the report is in the counter, and its answer is on the way
			}
			current := func() int64 {
				return second.get("authorize", "app_id", "beside").current(t, "hits", threescale.Eternity)
			}
			assert.GreaterOrEqual(t, current(), int64(64))
			second.Settled("b", lane1001, with(events, quota.Delivered))
			pass(DefaultTTL)
			assert.EqualValues(t, 64, current(), "counted: %v", counted)
			if !counted {
				first.others("beside", 64) // the worker was behind
				pass(DefaultTTL)
				assert.EqualValues(t, 64, current())
			}
			pass(time.Hour)
			assert.EqualValues(t, 64, current())
		})
	}
}
