package sender

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestThirtyHoursWithoutABackend under load: each event is delivered in time, restamped, or a dead
// letter; and nothing that would be too old is ever sent among fresh ones, or the sandbox would discard
// the report.
func TestThirtyHoursWithoutABackend(t *testing.T) {
	for _, restamp := range []bool{false, true} {
		t.Run(fmt.Sprintf("restamp=%v", restamp), func(t *testing.T) {
			o := Options{Restamp: restamp, BackoffMax: 5 * time.Minute}
			inCity(t, sandbox.Options{NegativeCache: minute, WorkerDelay: 5 * time.Second}, o, proof.Options{}, 200, func(c *city) {
				c.create(apps(20)...)
				seal := func() {
					var all []spool.Transaction
					for _, a := range apps(20) {
						all = append(all, hit(a, time.Now()))
					}
					c.sealAll("1001", all...)
				}
				seal()
				c.wait(time.Minute)
				require.EqualValues(t, 20, c.spool.Counts().Delivered)
				c.behave(func(bool) reply { return reply{err: errReset} })
				began := time.Now()
				for time.Since(began) < 30*time.Hour {
					seal()
					c.wait(5 * time.Minute)
				}
				calls := c.tries()
				c.behave(nil)
				back := time.Now()
				for c.spool.Counts().Pending > 0 && time.Since(back) < time.Hour {
					c.wait(time.Second)
				}
				drained := time.Since(back)
				n, r := c.spool.Counts(), c.sender.Stats().Restamped
				inTime := n.Delivered - r.Events
				t.Logf("%d events: %d delivered in time, %d restamped, %d dead; %d calls in 30 h without an answer; drained in %v",
					n.Accepted, inTime, r.Events, n.Dead, calls, drained)
				require.NoError(t, c.sandbox.Settle(c.t.Context()))
				assert.Zero(t, n.Pending+n.Lost)
				assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
				assert.Equal(t, n.Delivered, c.hits("1001"))
				late := uint64(20 * 12 * 6) // of the first six hours, and what the margin adds
				if restamp {
					assert.Zero(t, n.Dead)
					assert.InDelta(t, late, r.Events, 200)
				} else {
					assert.Zero(t, r.Events)
					assert.InDelta(t, late, n.Dead, 200)
				}
				assert.Less(t, drained, 10*time.Minute)
			})
		})
	}
}

func TestTheEarliestDeadlineGoesFirst(t *testing.T) {
	inWorld(t, Options{MaxInFlight: 1}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		now := time.Now()
		for i, age := range []time.Duration{0, 3 * time.Hour, 20 * time.Hour, time.Hour} {
			w.sealAll("1", hit(fmt.Sprint("app", i), now.Add(-age)))
		}
		w.wait(time.Minute)
		seen := len(w.backend.seen())
		w.backend.behave(nil)
		w.wait(time.Minute)
		var order []string
		for _, c := range w.backend.seen()[seen:] {
			order = append(order, c.apps...)
		}
		assert.Equal(t, []string{"app2", "app1", "app3", "app0"}, order)
	})
}
