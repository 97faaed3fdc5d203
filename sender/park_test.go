package sender

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

func TestAmbiguousBatchesAreParkedUntilSomebodyDecides(t *testing.T) {
	for name, test := range map[string]struct {
		fate                     Fate
		landed                   bool
		counted, delivered, dead uint64
	}{
		"sent again, had not landed": {Resend, false, 2, 2, 0},
		"sent again, had landed":     {Resend, true, 4, 2, 0},
		"counted, had landed":        {Counted, true, 2, 2, 0},
		"buried, had not landed":     {MakeDead, false, 0, 0, 2},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Options{OnAmbiguous: ParkAmbiguous}, func(w *world) {
				w.backend.behave(times(1, reply{err: errReset, landed: test.landed}))
				w.seal("1", "a", "b")
				w.wait(time.Second)
				w.seal("2", "c")
				w.wait(time.Hour)
				assert.EqualValues(t, 1, w.spool.Counts().Delivered, "others go on")
				assert.Len(t, w.backend.seen(), 2, "it is not sent again")
				l := w.lane("1")
				assert.Equal(t, 1, l.Parked)
				assert.EqualValues(t, 2, l.ParkedEvents)
				parked := w.sender.Parked(spool.BatchID{}, 10)
				require.Len(t, parked, 1)
				assert.Equal(t, []int{1, 1}, []int{parked[0].Attempts, parked[0].Ambiguous})
				assert.WithinDuration(t, time.Now().Add(-time.Hour), parked[0].Attempted, 2*time.Second)
				assert.Equal(t, 1, w.log.FilterMessageSnippet("parked").Len())

				require.NoError(t, w.sender.Unpark(parked[0].ID, test.fate))
				w.wait(time.Minute)
				c := w.spool.Counts()
				assert.Equal(t, []uint64{test.delivered + 1, test.dead, 0}, []uint64{c.Delivered, c.Dead, c.Pending})
				assert.Equal(t, test.counted+1, w.backend.hits())
				assert.Empty(t, w.sender.Parked(spool.BatchID{}, 10))
				assert.ErrorIs(t, w.sender.Unpark(parked[0].ID, Resend), spool.ErrUnknownBatch)
			})
		})
	}
}

func TestWhatIsNotParkedCannotBeUnparked(t *testing.T) {
	inWorld(t, Options{OnAmbiguous: ParkAmbiguous}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		w.seal("1", "a")
		w.wait(time.Minute)
		id := w.spool.Batches()[0].ID
		assert.ErrorIs(t, w.sender.Unpark(id, Counted), spool.ErrUnknownBatch)
		assert.EqualValues(t, 1, w.spool.Counts().Pending)
	})
}

// TestStateOfALaneWithParkedBatchesOnly: it is parked, not retrying or flowing, since nothing of it moves before a decision.
func TestStateOfALaneWithParkedBatchesOnly(t *testing.T) {
	inWorld(t, Options{OnAmbiguous: ParkAmbiguous}, func(w *world) {
		w.backend.behave(times(1, reply{err: errReset}))
		w.seal("1", "a")
		w.wait(time.Second)
		assert.Equal(t, Parked, w.lane("1").State, "right after the attempt")
		w.wait(time.Hour)
		assert.Equal(t, Parked, w.lane("1").State, "an hour later")
		w.seal("1", "b")
		w.wait(time.Minute)
		assert.Equal(t, Parked, w.lane("1").State, "after another report was delivered")
		w.backend.behave(func(call) reply { return reply{status: 503} })
		w.seal("1", "c")
		w.wait(time.Second)
		assert.Equal(t, Retrying, w.lane("1").State, "another report is retried")
		w.backend.behave(nil)
		w.wait(time.Hour)
		require.NoError(t, w.sender.Unpark(w.sender.Parked(spool.BatchID{}, 1)[0].ID, Counted))
		assert.Equal(t, Flowing, w.lane("1").State)
	})
}

// TestALaneWhoseReportsAreAllParkedIsTriedSlowly: otherwise an hour without answers would park all.
func TestALaneWhoseReportsAreAllParkedIsTriedSlowly(t *testing.T) {
	inWorld(t, Options{OnAmbiguous: ParkAmbiguous}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{err: errReset} })
		for range 1000 {
			w.seal("1", "a")
		}
		w.wait(time.Hour)
		n := w.lane("1").Parked
		t.Logf("%d of 1000 parked in an hour", n)
		assert.Less(t, n, 400)
		assert.Len(t, w.backend.seen(), n)
		w.backend.behave(nil)
		w.wait(5 * time.Minute)
		assert.EqualValues(t, 1000-n, w.spool.Counts().Delivered)
	})
}

// TestWhatWasTooOldIsNotCounted: a report leaves out what is too old, and that it was counted says nothing about
// the rest.
func TestWhatWasTooOldIsNotCounted(t *testing.T) {
	inWorld(t, Options{OnAmbiguous: ParkAmbiguous}, func(w *world) {
		w.backend.behave(times(1, reply{err: errReset, landed: true}))
		w.sealAll("1", hit("old", time.Now().Add(-25*time.Hour)), hit("new", time.Now()))
		w.wait(time.Hour)
		parked := w.sender.Parked(spool.BatchID{}, 10)
		require.Len(t, parked, 1)
		require.NoError(t, w.sender.Unpark(parked[0].ID, Counted))
		c := w.spool.Counts()
		assert.Equal(t, []uint64{w.backend.hits(), 1, 0}, []uint64{c.Delivered, c.Dead, c.Pending})
	})
}

// TestWhatWasSentWithAnotherTimeIsBookedThere also when an operator says that it was counted.
func TestWhatWasSentWithAnotherTimeIsBookedThere(t *testing.T) {
	inWorld(t, Options{OnAmbiguous: ParkAmbiguous, Restamp: true}, func(w *world) {
		var settled []spool.Resolution
		w.sender.options.Settled = func(_ *spool.Batch, r spool.Resolution) { settled = append(settled, r) }
		w.backend.behave(times(1, reply{err: errReset, landed: true}))
		w.wait(time.Minute)
		w.sealAll("1", hit("new", time.Now()), hit("old", time.Now().Add(-25*time.Hour)))
		sent := time.Now()
		w.wait(time.Hour)
		parked := w.sender.Parked(spool.BatchID{}, 10)
		require.Len(t, parked, 1)
		require.NoError(t, w.sender.Unpark(parked[0].ID, Counted))
		require.Len(t, settled, 1)
		assert.Equal(t, []int{0, 1}, settled[0].Delivered)
		assert.Equal(t, []int{1}, settled[0].Restamped)
		assert.WithinDuration(t, sent, settled[0].At, time.Second)
	})
}

// TestAParkedBatchLeavesNothingBehind when it was in probation before.
func TestAParkedBatchLeavesNothingBehind(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{OnAmbiguous: ParkAmbiguous}, proof.Options{}, 200, func(c *city) {
		c.behave(func(report bool) reply {
			if report {
				return reply{status: 500}
			}
			return reply{}
		})
		c.seal("1001", "app2")
		c.wait(time.Minute)
		parked := c.sender.Parked(spool.BatchID{}, 10)
		require.Len(t, parked, 1)
		require.NoError(t, c.sender.Unpark(parked[0].ID, Counted))
		c.sender.mu.Lock()
		defer c.sender.mu.Unlock()
		assert.Empty(t, c.sender.probations)
	})
}

// A flush, and a stop, do not wait for a batch that is parked before it was ever tried.
func TestAParkedBatchIsNotWaitedFor(t *testing.T) {
	s := &Sender{options: Options{OnAmbiguous: RetryAmbiguous}}
	assert.True(t, s.waits(&spool.BatchInfo{}))
	assert.False(t, s.waits(&spool.BatchInfo{Held: true}))
}
