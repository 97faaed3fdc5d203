package sender

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestWhatIsSealedIsDelivered(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		for range 20 {
			w.seal("1", apps(10)...)
			w.seal("2", "other")
		}
		w.wait(time.Second)
		c := w.spool.Counts()
		assert.EqualValues(t, 220, c.Delivered)
		assert.Zero(t, c.Pending+c.Ambiguous+c.Dead)
		assert.EqualValues(t, 220, w.backend.hits())
		assert.Empty(t, w.spool.Batches())
		s := w.sender.Stats()
		assert.EqualValues(t, 40, s.ReportCalls)
		assert.EqualValues(t, 220, s.Transactions)
		assert.EqualValues(t, 40, s.Verdicts["delivered"])
		for _, call := range w.backend.seen() {
			assert.Equal(t, "t"+call.service, call.token)
		}
	})
}

func TestNoMoreReportsInFlightThanAllowed(t *testing.T) {
	inWorld(t, Options{MaxInFlight: 4}, func(w *world) {
		most := 0
		w.backend.behave(func(call) reply { return reply{delay: time.Second} })
		for range 30 {
			w.seal("1", "a")
			w.seal("2", "b")
		}
		for w.spool.Counts().Pending > 0 {
			w.wait(100 * time.Millisecond)
			most = max(most, w.sender.Stats().InFlight)
		}
		assert.Equal(t, 4, most)
	})
}

func TestStopFinishesWhatIsInFlightAndBeginsNothing(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{delay: 9 * time.Second} })
		w.seal("1", "a")
		w.seal("1", "b")
		w.wait(time.Second)
		began := time.Now()
		w.stop()
		assert.Equal(t, 8*time.Second, time.Since(began))
		c := w.spool.Counts()
		assert.EqualValues(t, 1, c.Delivered)
		assert.EqualValues(t, 1, c.Pending)
		assert.Zero(t, c.Ambiguous)
		assert.Len(t, w.backend.seen(), 1)
	})
}

func TestTriedWaitsForAnAttemptNotForADelivery(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(c call) reply {
			if c.service == "2" {
				return reply{status: 503, delay: 2 * time.Second}
			}
			return reply{delay: time.Second}
		})
		began := time.Now()
		for range 3 {
			w.seal("1", "a")
			w.seal("2", "b")
		}
		require.NoError(t, w.sender.Tried(w.t.Context(), w.spool.Committed()))
		assert.Equal(t, 2*time.Second, time.Since(began))
		assert.EqualValues(t, 3, w.spool.Counts().Delivered)
		assert.EqualValues(t, 3, w.spool.Counts().Pending)

		ctx, cancel := context.WithTimeout(w.t.Context(), time.Millisecond)
		defer cancel()
		w.backend.behave(func(call) reply { return reply{delay: time.Second} })
		w.seal("1", "a")
		assert.ErrorIs(t, w.sender.Tried(ctx, w.spool.Committed()), context.DeadlineExceeded)
	})
}

func TestSickLaneDelaysItselfAlone(t *testing.T) {
	inWorld(t, Options{MaxInFlight: 4}, func(w *world) {
		w.backend.behave(func(c call) reply {
			switch c.service {
			case "1":
				return reply{delay: time.Hour} // the client gives up after its timeout
			case "2":
				return refuse(403, "service_token_invalid", "no")
			}
			return reply{delay: 100 * time.Millisecond}
		})
		for range 50 {
			w.seal("1", "a")
			w.seal("2", "b")
		}
		w.wait(time.Minute)
		var worst time.Duration
		for range 200 {
			began := time.Now()
			w.seal("3", "c")
			require.NoError(t, w.sender.Tried(w.t.Context(), w.spool.Committed()))
			worst = max(worst, time.Since(began))
			w.wait(700 * time.Millisecond)
		}
		t.Logf("slowest delivery beside a hanging and a held lane: %v", worst)
		assert.LessOrEqual(t, worst, 200*time.Millisecond)
		assert.EqualValues(t, 200, w.spool.Counts().Delivered)
		assert.Equal(t, Retrying, w.lane("1").State)
		assert.Equal(t, Held, w.lane("2").State)
		assert.Equal(t, Flowing, w.lane("3").State)
	})
}

func TestLanesSayWhatWaits(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return refuse(403, "service_token_invalid", "no") })
		sealed := time.Now()
		w.seal("1", apps(3)...)
		w.wait(time.Second)
		w.seal("1", apps(4)...)
		synctest.Wait()
		l := w.lane("1")
		assert.Equal(t, 2, l.Batches)
		assert.EqualValues(t, 7, l.Events)
		assert.Equal(t, Held, l.State)
		assert.Equal(t, "service_token_invalid", l.LastError)
		assert.WithinDuration(t, sealed, l.Oldest, time.Millisecond)
		assert.False(t, l.PassedOn)
	})
}
