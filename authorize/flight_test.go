package authorize

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestStampede: a thousand first calls for one key at once are one question.
func TestStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.backend.set(false, 300*time.Millisecond)
		var granted atomic.Int64
		var all sync.WaitGroup
		for range 1000 {
			all.Go(func() {
				if w.get("authrep", "app_id", "app1", "app_key", "key1", "usage[hits]", "1").status == http.StatusOK {
					granted.Add(1)
				}
			})
		}
		all.Wait()
		assert.EqualValues(t, 1000, granted.Load())
		assert.Equal(t, 1, w.backend.calls())
		assert.EqualValues(t, 1000, w.get("authorize", "app_id", "app1", "app_key", "key1").current(t, "hits", 4))
	})
}

// TestRefreshAhead: a key that is in use never waits for a backend that takes a second.
func TestRefreshAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "app2", "usage[hits]", "1").status)
		w.backend.set(false, time.Second)
		for range 600 {
			begun := time.Now()
			require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "app2", "usage[hits]", "1").status)
			require.Zero(t, time.Since(begun))
			pass(time.Second)
		}
		assert.InDelta(t, 600/23.5, w.backend.calls(), 3, "asked about every three quarters of the ttl")
		assert.LessOrEqual(t, w.Stats().Answers["backend"], uint64(2))
	})
}

// TestSlowBackendIsAway: no call waits longer than the timeout, and after two that got no answer within it no call waits.
func TestSlowBackendIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.backend.set(false, time.Hour)
		for i := range 10 {
			begun := time.Now()
			assert.Equal(t, codeUnavailable, w.get("authorize", "app_id", "app2").rejection())
			if i < hangAfter {
				assert.Equal(t, DefaultTimeout, time.Since(begun))
			} else {
				assert.Zero(t, time.Since(begun), "the breaker is open")
			}
		}
		begun := time.Now()
		wrong := w.get("authorize", "app_id", "x", "service_token", "wrong")
		require.Equal(t, http.StatusForbidden, wrong.status)
		require.Contains(t, wrong.body, textNotJudged, "nothing is known of them, so nothing is said of them")
		assert.Zero(t, time.Since(begun))
		w.backend.set(false, 0)
		assert.Equal(t, "service_not_active", w.get("authorize", "app_id", "app1", "service_id", "1005", "service_token", "stoken1005").rejection(),
			"another service has a breaker of its own")
	})
}

// TestCallerGone: a caller that goes away takes nothing from the remaining callers, and is not billed.
func TestCallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.backend.set(false, time.Second)
		ctx, cancel := context.WithCancel(t.Context())
		var all sync.WaitGroup
		all.Go(func() {
			r := httptest.NewRequest(http.MethodGet, "/transactions/authrep.xml?service_token=stoken1001&service_id=1001&app_id=app2&usage[hits]=1", nil)
			w.send(r.WithContext(ctx))
		})
		synctest.Wait()
		all.Go(func() {
			assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "app2", "usage[hits]", "1").status)
		})
		synctest.Wait()
		cancel()
		all.Wait()
		assert.Len(t, w.journal.take(), 1)
		assert.Equal(t, 1, w.backend.calls())
	})
}

// TestSlowDisk: while the journal takes a minute for each authrep and each report, authorize is answered at once,
// for the same application, in every way there is; and what is on its way to the disk counts already.
func TestSlowDisk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("slow", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 10})
		require.Equal(t, http.StatusOK, w.get("authorize", "app_id", "slow", "usage[hits]", "1").status)
		w.journal.slow = time.Minute
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() { w.get("authrep", "app_id", "slow", "usage[hits]", "1") })
			all.Go(func() { w.accept("slow", "hits", 1) })
		}
		synctest.Wait()
		begun := time.Now()
		for i := range 100 {
			g := w.get("authorize", "app_id", "slow", "usage[hits]", "1")
			require.Equal(t, http.StatusOK, g.status)
			assert.EqualValues(t, 3, g.current(t, "hits", threescale.Eternity))
			w.limited("cold"+strconv.Itoa(i), sandbox.Limit{Metric: "hits", Period: "minute", Max: 10})
			require.Equal(t, http.StatusOK, w.get("authorize", "app_id", "cold"+strconv.Itoa(i)).status, "nor one that is asked about first")
		}
		assert.Equal(t, http.StatusConflict, w.get("authorize", "app_id", "slow", "usage[hits]", "8").status)
		assert.Zero(t, time.Since(begun))
		all.Wait()
		assert.Len(t, w.journal.take(), 6)
	})
}

// TestOneRightAmongWrong: many calls for one key at once, each with another wrong metric, and one right, in every mode.
func TestOneRightAmongWrong(t *testing.T) {
	for _, mode := range []Mode{Resilient, Strict, Allow, None} {
		t.Run(mode.String(), func(t *testing.T) { synctest.Test(t, func(t *testing.T) { oneRightAmongWrong(t, mode) }) })
	}
}

func oneRightAmongWrong(t *testing.T, mode Mode) {
	w := newWorld(t, func(o *worldOptions) { o.Mode = mode })
	w.backend.set(false, 10*time.Millisecond)
	var right got
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			wrong := w.get("authrep", "app_id", "appnolim", "usage[nosuch"+strconv.Itoa(i)+"]", "1")
			assert.Equal(t, http.StatusNotFound, wrong.status, wrong.body)
		})
	}
	pass(time.Millisecond)
	all.Go(func() { right = w.get("authrep", "app_id", "appnolim", "usage[hits]", "1") })
	all.Wait()
	assert.Equal(t, http.StatusOK, right.status, right.body)
}

// TestAtOnceIsOneQuestion: calls at once for an application that is not known are one question, also if its answer comes between the look
// and the question of one of them.
func TestAtOnceIsOneQuestion(t *testing.T) {
	w := newWorld(t, nil)
	const rounds = 300
	before := w.backend.calls()
	for i := range rounds {
		app := fmt.Sprint("once", i)
		w.limited(app)
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-begin
				w.get("authorize", "app_id", app)
			})
		}
		close(begin)
		all.Wait()
	}
	assert.EqualValues(t, rounds, w.backend.calls()-before)
}
