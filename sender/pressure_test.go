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

// TestManyLanesShareOneCallWhileTheBackendIsAway: a hundred lanes try no more often than a few.
func TestManyLanesShareOneCallWhileTheBackendIsAway(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		for i := range 100 {
			w.configure(fmt.Sprint(i), "t")
			w.seal(fmt.Sprint(i), "a")
		}
		w.wait(time.Second)
		require.EqualValues(t, 100, w.spool.Counts().Delivered)
		for name, away := range map[string]reply{"503": {status: 503}, "hangs": {delay: time.Hour}} {
			before := len(w.backend.seen())
			w.backend.behave(func(call) reply { return away })
			for i := range 100 {
				w.seal(fmt.Sprint(i), "a")
			}
			w.wait(10 * time.Minute)
			calls := w.backend.seen()[before:]
			late := 0
			for _, c := range calls {
				if time.Since(c.at) < 9*time.Minute {
					late++
				}
			}
			t.Logf("%s: %d calls of 100 lanes in ten minutes, %.2f a second after the first", name, len(calls), float64(late)/540)
			assert.True(t, w.sender.Stats().BreakerOpen)
			assert.Less(t, late, 100, "about one in backoff's time, not one for each lane")
			w.backend.behave(nil)
			back := time.Now()
			for w.spool.Counts().Pending > 0 && time.Since(back) < time.Minute {
				w.wait(100 * time.Millisecond)
			}
			t.Logf("%s: delivered %v after it came back", name, time.Since(back))
			assert.Less(t, time.Since(back), 45*time.Second)
			assert.False(t, w.sender.Stats().BreakerOpen)
		}
		assert.Equal(t, 2, w.log.FilterMessageSnippet("the backend is away").Len())
		assert.Equal(t, 2, w.log.FilterMessage("the backend answers again").Len())
	})
}

// TestABreakerDoesNotHoldUpAHealthyLane: two services hang, one is held, one is fine.
func TestABreakerDoesNotHoldUpAHealthyLane(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.configure("4", "t4")
		w.backend.behave(func(c call) reply {
			switch c.service {
			case "1":
				return reply{delay: time.Hour}
			case "2":
				return reply{status: 503}
			case "4":
				return refuse(403, "service_token_invalid", "no")
			}
			return reply{delay: 50 * time.Millisecond}
		})
		for range 200 {
			w.seal("1", "a")
			w.seal("2", "b")
			w.seal("4", "d")
		}
		w.wait(time.Minute)
		var worst time.Duration
		for range 50 {
			began := time.Now()
			w.seal("3", "c")
			require.NoError(t, w.sender.Tried(w.t.Context(), w.spool.Committed()))
			worst = max(worst, time.Since(began))
			w.wait(20 * time.Second)
		}
		t.Logf("slowest delivery of 50 beside a hanging, a refusing and a held lane: %v", worst)
		assert.Less(t, worst, 150*time.Millisecond)
		assert.EqualValues(t, 50, w.spool.Counts().Delivered)
	})
}

// TestFreshEventsDoNotWaitForTheBacklog: while it drains, what comes in is delivered soon.
func TestFreshEventsDoNotWaitForTheBacklog(t *testing.T) {
	inWorld(t, Options{}, func(w *world) {
		w.backend.behave(func(call) reply { return reply{status: 503} })
		for range 2000 {
			w.seal("1", "a")
		}
		w.wait(5 * time.Minute)
		w.backend.behave(func(call) reply { return reply{delay: 300 * time.Millisecond} })
		back := time.Now()
		for w.spool.Counts().Delivered < 50 {
			w.wait(100 * time.Millisecond)
		}
		var worst time.Duration
		fresh := 0
		for w.spool.Counts().Pending > 0 {
			name := fmt.Sprint("fresh", fresh)
			fresh++
			sealed := time.Now()
			w.seal("1", name)
			for w.arrived(name).IsZero() {
				w.wait(100 * time.Millisecond)
			}
			worst = max(worst, w.arrived(name).Sub(sealed))
			w.wait(2 * time.Second)
		}
		t.Logf("2000 batches drained in %v; of %d fresh ones meanwhile the slowest took %v", time.Since(back), fresh, worst)
		assert.Greater(t, fresh, 10)
		assert.Less(t, worst, 3*time.Second)
		assert.Less(t, time.Since(back), 4*time.Minute)
	})
}

// arrived returns when the first report with an application came; zero: not yet.
func (w *world) arrived(app string) time.Time {
	for _, c := range w.backend.seen() {
		if _, in := c.hits[app]; in {
			return c.at
		}
	}
	return time.Time{}
}

// TestConcurrencyAdapts: a backend that takes two reports at a time and refuses the rest is not hammered; one
// that takes all gets all that is allowed.
func TestConcurrencyAdapts(t *testing.T) {
	inWorld(t, Options{MaxInFlight: 32}, func(w *world) {
		w.backend.behave(func(call) reply {
			if w.sender.Stats().InFlight > 6 {
				return reply{status: 429}
			}
			return reply{delay: 200 * time.Millisecond}
		})
		for range 500 {
			w.seal("1", "a")
			w.seal("2", "b")
		}
		w.wait(30 * time.Second)
		s := w.sender.Stats()
		t.Logf("limit %d, %d delivered, %d refused", s.Limit, s.Verdicts["delivered"], s.Verdicts["retry"])
		assert.LessOrEqual(t, s.Limit, 10)
		assert.Less(t, s.Verdicts["retry"], s.Verdicts["delivered"]/5)
		w.backend.behave(func(call) reply { return reply{delay: 200 * time.Millisecond} })
		for range 2000 {
			w.seal("1", "a")
			w.seal("2", "b")
		}
		w.wait(60 * time.Second)
		assert.Greater(t, w.sender.Stats().Limit, 15)
	})
}

func TestASlowBackendGetsLess(t *testing.T) {
	l := newLimit(32)
	at := start
	for range 500 {
		l.answered(at, at.Add(200*time.Millisecond), 1000, true)
		at = at.Add(200 * time.Millisecond)
	}
	assert.Equal(t, 32, l.room())
	for range 10 {
		l.answered(at, at.Add(5*time.Second), 1000, true)
		at = at.Add(5 * time.Second)
	}
	assert.Less(t, l.room(), 15)
	for range 100 {
		l.decrease(at, at, overload)
		at = at.Add(time.Second)
	}
	assert.Equal(t, 2, l.room())
	small := newLimit(1)
	small.decrease(at, at, overload)
	assert.Equal(t, 1, small.room())
}

// TestAColdStartWhileTheBackendIsAway: nothing is proven, so nothing is even tried but questions, and not many.
func TestAColdStartWhileTheBackendIsAway(t *testing.T) {
	for name, away := range map[string]reply{"503": {status: 503}, "hangs": {delay: time.Hour}, "refused": {err: errReset}} {
		t.Run(name, func(t *testing.T) {
			inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
				c.behave(func(bool) reply { return away })
				var all []spool.Transaction
				c.create(apps(100)...)
				for _, a := range apps(100) {
					all = append(all, hit(a, time.Now()))
				}
				for range 50 {
					c.sealAll("1001", all...)
					for _, other := range []string{"1002", "1003", "1004", "1005"} {
						c.sealAll(other, hit("a", time.Now()))
					}
				}
				c.wait(10 * time.Minute)
				t.Logf("%.2f calls a second, %d of them reports; %d batches", float64(c.tries())/600, c.sandbox.Calls().Report, len(c.spool.Batches()))
				assert.Less(t, c.tries(), 300)
				assert.Less(t, len(c.spool.Batches()), 300, "nothing is divided in vain")
				assert.Equal(t, Retrying, c.lane("1001").State)
				c.behave(nil)
				c.wait(time.Minute)
				assert.EqualValues(t, 5000, c.hits("1001"))
				assert.Zero(t, c.lane("1001").Batches)
			})
		})
	}
}
