package authorize

import (
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
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

// limited makes an application of service 1001 with limits.
func (w *world) limited(app string, limits ...sandbox.Limit) {
	plan := "Test"
	require.NoError(w.t, w.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: app, Plan: &plan, Limits: &limits}))
}

// hammer makes calls from 64 goroutines, and returns how many were granted.
func (w *world) hammer(calls int, pairs ...string) int {
	var granted atomic.Int64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range calls / 64 {
				if w.get("authrep", pairs...).status == http.StatusOK {
					granted.Add(1)
				}
			}
		})
	}
	all.Wait()
	return int(granted.Load())
}

// TestExactlyTheLimit: 64 connections, cold, and everything delivered while they call.
func TestExactlyTheLimit(t *testing.T) {
	for _, period := range []string{"minute", "hour", "day", "week", "month", "year", "eternity"} {
		for _, metric := range []string{"hits", "other", "search_deep"} { // itself, a child, a grandchild
			t.Run(period+" through "+metric, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, nil)
					w.limited("tight", sandbox.Limit{Metric: "hits", Period: period, Max: 100})
					w.backend.set(false, 5*time.Millisecond)
					delivering := make(chan struct{})
					var reporter sync.WaitGroup
					reporter.Go(func() {
						for {
							select {
							case <-delivering:
								return
							case <-time.After(time.Millisecond):
								w.deliver()
							}
						}
					})
					assert.Equal(t, 100, w.hammer(640, "app_id", "tight", "usage["+metric+"]", "1"), "granted")
					close(delivering)
					reporter.Wait()
					w.deliver()
					assert.EqualValues(t, 100, w.counted("tight", "hits"), "counted")
				})
			})
		}
	}
}

// TestLimitAcrossRefreshes: hours of calls, refreshes and late deliveries do not shake the total.
func TestLimitAcrossRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("slow", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 1000})
		granted := 0
		for i := range 3000 {
			if w.get("authrep", "app_id", "slow", "usage[search]", "1").status == http.StatusOK {
				granted++
			}
			if i%7 == 0 {
				w.deliver()
			}
			pass(5 * time.Second)
		}
		w.deliver()
		assert.Equal(t, 1000, granted)
		assert.EqualValues(t, 1000, w.counted("slow", "hits"))
		assert.Greater(t, w.backend.calls(), 300, "it was refreshed all the time")
	})
}

// TestWorkerBehind: a backend that counts reports long after its 202 does not make the daemon forget them.
func TestWorkerBehind(t *testing.T) {
	for _, behind := range []time.Duration{40 * time.Second, 210 * time.Second, 30 * time.Minute} {
		for _, period := range []string{"day", "eternity"} {
			t.Run(fmt.Sprint(behind, " per ", period), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, nil)
					s := sandbox.New(sandbox.Options{WorkerDelay: behind})
					w.sandbox, w.backend.handler = s, s
					w.limited("late", sandbox.Limit{Metric: "hits", Period: period, Max: 100})
					granted := 0
					for range 300 {
						if w.get("authrep", "app_id", "late", "usage[hits]", "1").status == http.StatusOK {
							granted++
						}
						w.deliver()
						pass(10 * time.Second)
					}
					assert.Equal(t, 100, granted)
					assert.EqualValues(t, 100, w.counted("late", "hits"))
				})
			})
		}
	}
}

// TestWorkerBehindWithOthers: while the worker is behind, usage of other reporters is hidden by our own usage that the counter
// lacks. Once it is counted, all of it counts. What was hidden is in the figures.
func TestWorkerBehindWithOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("both", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 1000})
		current := func() int64 {
			pass(DefaultTTL)
			return w.get("authorize", "app_id", "both").current(t, "hits", threescale.Eternity)
		}
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "both", "usage[hits]", "60").status)
		e := w.journal.take()[0]
		w.Sending("x", lane1001, some([]event.Event{e}, 0))
		w.Settled("x", lane1001, with([]event.Event{e}, quota.Delivered)) // the worker has not counted it
		w.others("both", 40)
		assert.EqualValues(t, 60, current(), "40 of another reporter may be 40 of ours")
		assert.EqualValues(t, 20, w.Authorizer.Stats().Behind)
		w.others("both", 30)
		assert.EqualValues(t, 70, current())
		assert.EqualValues(t, 10, w.Authorizer.Stats().Unseen)
		w.others("both", 60) // the worker catches up
		assert.EqualValues(t, 130, current())
	})
}

// TestPeriodTurns: the minute's limit is fresh in the next minute, the day's is not.
func TestPeriodTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("turn", sandbox.Limit{Metric: "hits", Period: "minute", Max: 10}, sandbox.Limit{Metric: "hits", Period: "day", Max: 25})
		var granted []int
		for range 4 {
			granted = append(granted, w.hammer(64, "app_id", "turn", "usage[hits]", "1"))
			w.deliver()
			pass(time.Minute)
		}
		assert.Equal(t, []int{10, 10, 5, 0}, granted)
		pass(24 * time.Hour)
		assert.Equal(t, 10, w.hammer(64, "app_id", "turn", "usage[hits]", "1"))
	})
}

// TestAllWaysInCount: events and reports weigh as authreps do, before and after the first question, and
// usage that is still to be delivered when it is asked counts once.
func TestAllWaysInCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.load()
		w.limited("mixed", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		w.accept("mixed", "hits", 20)
		w.deliver()
		w.accept("mixed", "search", 15)
		first := w.get("authorize", "app_id", "mixed")
		assert.EqualValues(t, 35, first.current(t, "hits", threescale.Eternity))
		w.accept("mixed", "other", 5)
		assert.EqualValues(t, 40, w.get("authorize", "app_id", "mixed").current(t, "hits", threescale.Eternity))
		w.deliver()
		assert.EqualValues(t, 40, w.get("authorize", "app_id", "mixed").current(t, "hits", threescale.Eternity))
		pass(31 * time.Second)
		assert.EqualValues(t, 40, w.get("authorize", "app_id", "mixed").current(t, "hits", threescale.Eternity))
		assert.Equal(t, 60, w.hammer(128, "app_id", "mixed", "usage[hits]", "1"))
	})
}

// TestOthersUsageShows: what other reporters count is seen at the next refresh, with any usage pending here.
func TestOthersUsageShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("shared", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "shared", "usage[hits]", "10").status)
		w.others("shared", 30)
		pass(31 * time.Second)
		assert.EqualValues(t, 40, w.get("authorize", "app_id", "shared").current(t, "hits", threescale.Eternity))
		w.deliver()
		pass(31 * time.Second)
		assert.EqualValues(t, 40, w.get("authorize", "app_id", "shared").current(t, "hits", threescale.Eternity))
	})
}

// others lets another reporter report usage.
func (w *world) others(app string, hits uint64) {
	_, err := w.client.Report(w.t.Context(), &threescale.Report{
		ServiceID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"},
		Transactions: []threescale.Transaction{{Application: threescale.Application{ID: app}, Usage: threescale.Usage{{Metric: "hits", Value: hits}}}},
	})
	require.NoError(w.t, err)
}

// TestOvershootBound: two daemons, each of which sees the other at its refresh. What is granted too much
// stays below what the other granted since.
func TestOvershootBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newWorld(t, nil)
		two := newWorld(t, func(o *worldOptions) { o.Client = one.client })
		two.client = one.client
		one.limited("both", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 1000})
		granted := 0
		for second := range 600 {
			for _, w := range []*world{one, two} {
				if w.get("authrep", "app_id", "both", "usage[hits]", "1").status == http.StatusOK {
					granted++
				}
				if second%5 == 4 {
					w.deliver()
				}
			}
			pass(time.Second)
		}
		bound := 1 * (30 + 5) // the other's rate, times ttl and the time until it has delivered
		t.Logf("limit 1000, two daemons at 1/s each: %d granted, bound %d", granted, 1000+bound)
		assert.GreaterOrEqual(t, granted, 1000)
		assert.LessOrEqual(t, granted, 1000+bound)
	})
}

// TestSilentlyDiscarded: usage that the backend took and dropped counts until the backend cannot count it any more, because its
// timestamp is too old by then.
func TestSilentlyDiscarded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("dropped", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "dropped", "usage[hits]", "60").status)
		events := w.journal.take()
		w.Sending("x", lane1001, some(events, 0))
		w.Settled("x", lane1001, with(events, quota.Delivered))
		for range 26 {
			pass(time.Hour - time.Second)
			assert.EqualValues(t, 60, w.get("authorize", "app_id", "dropped").current(t, "hits", threescale.Eternity))
		}
		pass(27 * time.Hour)
		assert.EqualValues(t, 0, w.get("authorize", "app_id", "dropped").current(t, "hits", threescale.Eternity))
	})
}

// TestLimitsComeAndGo: with the plan, and each begins with all that was used in its period.
func TestLimitsComeAndGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("zero", sandbox.Limit{Metric: "hits", Period: "day", Max: 0})
		assert.Equal(t, 200, w.get("authorize", "app_id", "zero").status)
		assert.Equal(t, 409, w.get("authrep", "app_id", "zero", "usage[search]", "1").status)
		assert.Equal(t, 200, w.get("authrep", "app_id", "zero", "usage[search]", "0").status)
		w.limited("zero", sandbox.Limit{Metric: "hits", Period: "hour", Max: 5})
		pass(DefaultTTL)
		assert.Equal(t, 5, w.hammer(64, "app_id", "zero", "usage[search]", "1"))
		w.limited("zero", sandbox.Limit{Metric: "hits", Period: "hour", Max: 7}, sandbox.Limit{Metric: "hits", Period: "day", Max: 6})
		pass(DefaultTTL)
		assert.Equal(t, 1, w.hammer(64, "app_id", "zero", "usage[search]", "1"))
		w.deliver()
		w.limited("zero")
		pass(DefaultTTL)
		assert.Equal(t, 64, w.hammer(64, "app_id", "zero", "usage[search]", "1"))
		w.deliver()
		w.limited("zero", sandbox.Limit{Metric: "hits", Period: "hour", Max: 100})
		pass(DefaultTTL)
		assert.Equal(t, 30, w.hammer(64, "app_id", "zero", "usage[search]", "1"))
	})
}
