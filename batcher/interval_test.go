package batcher

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// TestIntervalAdapts: the interval grows with the calls that a cut makes, and with those that are not made yet.
func TestIntervalAdapts(t *testing.T) {
	byDefault := Options{FlushInterval: 5 * time.Second, MaxInterval: 20 * time.Second}.withDefaults()
	for _, c := range []struct {
		lanes, waiting int
		want           time.Duration
	}{
		{0, 0, 5 * time.Second}, {1, 0, 5 * time.Second}, {2500, 0, 5 * time.Second}, {5000, 0, 10 * time.Second},
		{10_000, 0, 20 * time.Second}, {50_000, 0, 20 * time.Second},
		{10, 500, 5 * time.Second}, {100, 4900, 10 * time.Second}, // little waits for its calls
		{5000, 4900, 19800 * time.Millisecond}, // the backend is a little behind
		{10_000, 9000, 20 * time.Second}, {10_000, 600_000, time.Minute},
	} {
		assert.Equal(t, c.want, byDefault.interval(c.lanes, c.waiting), "%d lanes, %d batches", c.lanes, c.waiting)
	}
	slow := Options{FlushInterval: 2 * time.Minute, MaxInterval: 20 * time.Second}.withDefaults()
	assert.Equal(t, 2*time.Minute, slow.interval(10_000, 600_000), "an interval that is longer stands")
	assert.Equal(t, 5*time.Second, Options{}.withDefaults().interval(10_000, 0), "without a longer one there is none")
}

// TestManyLanesAreCutLessOften measures the time between the acceptance of an event and its cut.
func TestManyLanesAreCutLessOften(t *testing.T) {
	inWorld(t, Options{FlushInterval: 100 * time.Millisecond, MaxInterval: 300 * time.Millisecond}, func(w *world) {
		age := func(lanes int) time.Duration {
			began, cuts := time.Now(), w.batcher.Window().Cuts
			for i := range lanes {
				w.accept(fmt.Sprint(i), 1)
			}
			for w.batcher.Window().Cuts == cuts {
				w.wait(time.Millisecond)
			}
			for _, b := range w.spool.Batches() { // as if the backend had taken it
				require.NoError(t, w.spool.Resolve(b.ID, spool.Resolution{Delivered: []int{0}}))
			}
			return time.Since(began).Round(10 * time.Millisecond)
		}
		assert.Equal(t, 100*time.Millisecond, age(10))
		assert.Equal(t, 200*time.Millisecond, age(100))
		assert.Equal(t, 300*time.Millisecond, age(200))
		assert.Equal(t, 100*time.Millisecond, age(10), "and soon again")
	})
}

// TestAnIntervalEndsWithTheBacklog: what waits in the window because earlier batches were not delivered waits no longer than they.
func TestAnIntervalEndsWithTheBacklog(t *testing.T) {
	inWorld(t, Options{FlushInterval: 100 * time.Millisecond, MaxInterval: 100 * time.Millisecond}, func(w *world) {
		for range 60 {
			w.accept("1", 1)
			w.wait(time.Second)
		}
		require.Greater(t, w.spool.Live(), 49)
		w.accept("1", 1)
		live := w.spool.Batches()
		for _, b := range live {
			require.NoError(t, w.spool.Resolve(b.ID, spool.Resolution{Delivered: []int{0}}))
		}
		w.wait(100 * time.Millisecond)
		assert.Equal(t, 1, w.spool.Live())
	})
}

// TestStrangersDelayNoConfiguredService: events of a configured service are cut after the flush interval, however many lanes with
// credentials that reporters sent are in the window or wait for delivery. A window of such lanes alone is cut less often.
func TestStrangersDelayNoConfiguredService(t *testing.T) {
	var own atomic.Int64
	o := Options{FlushInterval: 100 * time.Millisecond, MaxInterval: 20 * time.Second, Waiting: func() int { return int(own.Load()) }}
	inWorld(t, o, func(w *world) {
		strangers := func(n int) {
			var events []event.Event
			for i := range n {
				events = append(events, event.Event{
					ServiceID: fmt.Sprint("s", i), Credentials: threescale.Credentials{ServiceToken: "passed"},
					Transaction: threescale.Transaction{Application: threescale.Application{ID: "a"}, Usage: threescale.Usage{hits(1)}, Timestamp: time.Now().Unix()},
				})
			}
			_, err := w.spool.Append(w.t.Context(), events)
			require.NoError(t, err)
		}
		cut := func() time.Duration {
			began, cuts := time.Now(), w.batcher.Window().Cuts
			for w.batcher.Window().Cuts == cuts {
				w.wait(10 * time.Millisecond)
			}
			return time.Since(began)
		}
		strangers(1000)
		assert.Equal(t, 2*time.Second, cut(), "a call for each of them at 500 a second")
		require.Equal(t, 1000, w.spool.Live())
		w.accept("1", 1)
		assert.Equal(t, 100*time.Millisecond, cut(), "while a thousand batches of strangers wait")
		strangers(1000)
		w.accept("1", 1)
		assert.Equal(t, 100*time.Millisecond, cut(), "with a thousand lanes of strangers in the window")
		own.Store(500)
		w.accept("1", 1)
		assert.Greater(t, cut(), 900*time.Millisecond, "batches of configured services count")
	})
}
