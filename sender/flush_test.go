package sender

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
)

// flush flushes, and returns the results by service and how long it took.
func (w *world) flush() (results map[string]LaneFlush, took time.Duration) {
	w.t.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(w.t.Context(), time.Hour)
	defer cancel()
	lanes, err := w.sender.Flush(ctx, w.spool.Committed())
	require.NoError(w.t, err)
	results = map[string]LaneFlush{}
	for _, l := range lanes {
		results[l.ServiceID] = l
	}
	return results, time.Since(began)
}

// A held lane is tried by a flush at once, and not when its poll comes.
func TestFlushTriesHeldLanes(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return refuse(403, threescale.CodeServiceTokenInvalid, "no") })
		w.seal("1", "a")
		w.wait(time.Second)
		require.Equal(t, Held, w.lane("1").State)
		calls := len(w.backend.seen())
		results, took := w.flush()
		assert.Equal(t, LaneFlush{
			ServiceID: "1", Result: FlushFailed, State: Held, Batches: 1, Events: 1, LastError: threescale.CodeServiceTokenInvalid,
		}, results["1"])
		assert.Len(t, w.backend.seen(), calls+1)
		assert.Less(t, took, time.Second)

		w.backend.behave(nil)
		results, took = w.flush()
		assert.Equal(t, LaneFlush{ServiceID: "1", Result: FlushDelivered, State: Flowing}, results["1"])
		assert.Less(t, took, time.Second)
		assert.EqualValues(t, 1, w.backend.hits())
	})
}

// What is delivered, fails, is parked and waits for its time is told apart, lane by lane.
func TestFlushSaysWhatCameOfEachLane(t *testing.T) {
	inWorld(t, Options{OnAmbiguous: ParkAmbiguous}, func(w *world) {
		w.backend.behave(times(1, reply{err: errReset}))
		w.seal("2", "a")
		w.wait(time.Minute)
		w.backend.behave(func(c call) reply {
			if c.service == "3" {
				return reply{status: 503}
			}
			return reply{delay: 100 * time.Millisecond}
		})
		w.seal("1", "a")
		w.sealAll("1", hit("a", time.Now().Add(2*time.Hour)))
		w.seal("3", "a", "b")
		results, _ := w.flush()
		assert.Equal(t, FlushWaiting, results["1"].Result)
		assert.Equal(t, 1, results["1"].Batches, "what is ahead of the clock")
		assert.Equal(t, LaneFlush{ServiceID: "2", Result: FlushParked, State: Parked, Batches: 1, Events: 1, Parked: 1}, withoutCode(results["2"]))
		assert.Equal(t, FlushFailed, results["3"].Result)
		assert.EqualValues(t, 2, results["3"].Events)
		assert.NotEmpty(t, results["3"].LastError)
	})
}

func withoutCode(f LaneFlush) LaneFlush {
	f.LastError = ""
	return f
}

// While the backend is away one call tells enough about all lanes.
func TestFlushWhileTheBackendIsAway(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		for _, service := range []string{"1", "2", "3"} {
			w.seal(service, "a")
		}
		w.wait(time.Minute)
		require.True(t, w.sender.Stats().BreakerOpen)
		calls := len(w.backend.seen())
		results, took := w.flush()
		count := map[FlushResult]int{}
		for _, l := range results {
			count[l.Result]++
		}
		assert.Equal(t, 1, count[FlushFailed], "%+v", results)
		assert.Equal(t, 2, count[FlushUntried], "%+v", results)
		assert.Len(t, w.backend.seen(), calls+1)
		assert.Less(t, took, time.Second)
	})
}

// A flush that is given up says so, and what it found until then.
func TestFlushEndsWithItsContext(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{delay: 5 * time.Second} })
		w.seal("1", "a")
		ctx, cancel := context.WithTimeout(w.t.Context(), time.Second)
		defer cancel()
		lanes, err := w.sender.Flush(ctx, w.spool.Committed())
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		require.Len(t, lanes, 1)
		assert.Equal(t, FlushWaiting, lanes[0].Result)
		w.wait(time.Minute)
	})
}
