package authorize

import (
	"fmt"
	"net/http"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestFloodDrivesOutNothingHot: keys that come once, right or wrong, leave those in use alone, and memory
// within its bounds.
func TestFloodDrivesOutNothingHot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) { o.MaxEntries = 640 })
		for i := range 50 {
			w.get("authorize", "app_id", "bulk"+strconv.Itoa(i+1))
		}
		before := w.backend.calls()
		for i := range 5000 {
			require.Equal(t, "application_key_invalid", w.get("authorize", "app_id", "app1", "app_key", "wrong"+strconv.Itoa(i)).rejection())
			require.Equal(t, http.StatusOK, w.get("authorize", "app_id", "app2", "referrer", strconv.Itoa(i)).status)
			require.Equal(t, http.StatusOK, w.get("authorize", "app_id", "bulk"+strconv.Itoa(i%50+1)).status)
		}
		assert.InDelta(t, before+10_000, w.backend.calls(), 100, "those in use were asked about again at the start at most")
		s := w.Stats()
		assert.LessOrEqual(t, s.Entries, 640)
		assert.LessOrEqual(t, s.Denials, 160)
		assert.Greater(t, s.Evicted, uint64(9000))
	})
}

// TestCacheBoundsBytes: a size is kept as well as a number, and every entry that leaves is told of.
func TestCacheBoundsBytes(t *testing.T) {
	left := 0
	c := newCache(1_000_000, 1<<20, func(*entry) { left++ })
	for i := range 10_000 {
		e := &entry{detail: &detail{text: string(make([]byte, 1000))}}
		e.key[0], e.key[1], e.key[2] = byte(i), byte(i>>8), byte(i>>16)
		c.put(e)
	}
	assert.LessOrEqual(t, c.weight.Load(), int64(1<<20))
	assert.EqualValues(t, 10_000-left, c.size.Load())
	seen := 0
	c.each(func(e *entry) { seen++; assert.Same(t, e, c.get(e.key)) })
	assert.EqualValues(t, seen, c.size.Load())
}

// TestEvictionForgetsNoUsage: an answer that is forgotten and asked for again finds its counters.
func TestEvictionForgetsNoUsage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) { o.MaxEntries = 1 })
		w.limited("evicted", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		granted := 0
		for i := range 300 {
			if w.get("authrep", "app_id", "evicted", "usage[hits]", "1").status == http.StatusOK {
				granted++
			}
			for j := range 40 {
				w.get("authorize", "app_id", "bulk"+strconv.Itoa(j+1))
			}
			if i%11 == 0 {
				w.deliver()
			}
			pass(7e9)
		}
		assert.Equal(t, 100, granted)
		assert.Less(t, w.Stats().Applications, 60)
	})
}

// TestForgottenWithoutReports: applications without a remembered answer are forgotten for want of room, where nothing is
// reported, too.
func TestForgottenWithoutReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) { o.MaxEntries = 16 })
		room := w.options.Applications() / 16
		for j := range 4 * room {
			app := fmt.Sprint("once", j)
			w.limited(app, sandbox.Limit{Metric: "hits", Period: "day", Max: 10})
			require.Equal(t, http.StatusOK, w.get("authorize", "app_id", app).status)
			pass(time.Second)
		}
		pass(4 * time.Minute)
		w.get("authorize", "app_id", "app2")
		synctest.Wait()
		assert.LessOrEqual(t, w.Stats().Applications, 2*room+w.Stats().Entries)
	})
}

// TestForgottenWhileAsked: usage that the backend has counted is not taken off its counter when the
// application is forgotten, for want of answers, while a question about it is on its way.
func TestForgottenWhileAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) { o.MaxEntries = 1 })
		w.limited("asked", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		require.Equal(t, 64, w.hammer(64, "app_id", "asked", "usage[hits]", "1"))
		w.deliver()
		for j := range 50 {
			w.get("authorize", "app_id", fmt.Sprint("bulk", j+1))
		}
		pass(5 * time.Minute)
		w.backend.set(false, time.Second)
		go func() {
			pass(500 * time.Millisecond)
			w.Sweep(time.Now())
		}()
		assert.EqualValues(t, 64, w.get("authorize", "app_id", "asked").current(t, "hits", threescale.Eternity))
	})
}

// TestManyUnknownMetrics: names that do not exist take the place of none that does.
func TestManyUnknownMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		require.Equal(t, http.StatusOK, w.get("authorize", "app_id", "appnolim").status)
		s := w.Service(quota.ServiceName{ID: "1001"})
		for i := range quota.MaxMetrics {
			s.Metric(fmt.Sprint("nosuch", i)).MarkDenied(time.Now())
		}
		assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "appnolim", "usage[other]", "1").status)
		assert.Equal(t, http.StatusNotFound, w.get("authrep", "app_id", "appnolim", "usage[nosuchagain]", "1").status)
	})
}

// TestManyUnknownServices: ids that mean nothing take the place of no service that does, and are forgotten.
func TestManyUnknownServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) { o.Services = nil })
		for i := range quota.MaxServices {
			w.Service(quota.ServiceName{ID: fmt.Sprint("nosuch", i)})
		}
		for range 3 {
			assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "appnolim", "usage[other]", "1").status)
			pass(DefaultTTL)
		}
		w.get("authorize", "app_id", "appnolim", "usage[other]", "1")
		before := w.backend.calls()
		assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "appnolim", "usage[other]", "1").status)
		assert.Equal(t, before, w.backend.calls(), "it is remembered")
		w.SetServices(configured)
		assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "app2", "usage[other]", "1").status)
	})
}
