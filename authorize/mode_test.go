package authorize

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestBackendDownForAnHour: what each mode answers, and until when. The outage begins right after all of
// the keys were asked about once, and lasts for an hour and ten minutes.
func TestBackendDownForAnHour(t *testing.T) {
	keys := map[string][]string{
		"known":   {"app_id", "hour", "app_key", "right", "usage[hits]", "1"},
		"wrong":   {"app_id", "hour", "app_key", "wrong", "usage[hits]", "1"},
		"unknown": {"app_id", "app2", "usage[hits]", "1"},
	}
	for mode, want := range map[Mode]map[string]string{
		// what is answered, and from which minute on something else
		Strict:    {"known": "200 until 30s, then 409 backend_unavailable", "wrong": "409 application_key_invalid until 10s, then 409 backend_unavailable", "unknown": "409 backend_unavailable"},
		Resilient: {"known": "200 until 1h0m0s, then 409 backend_unavailable", "wrong": "409 application_key_invalid until 1h0m0s, then 409 backend_unavailable", "unknown": "409 backend_unavailable"},
		Allow:     {"known": "200", "wrong": "409 application_key_invalid until 1h0m0s, then 200", "unknown": "200"},
		None:      {"known": "409 backend_unavailable", "wrong": "409 backend_unavailable", "unknown": "409 backend_unavailable"},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(o *worldOptions) { o.Mode = mode })
				key, limits := []string{"right"}, []sandbox.Limit{{Metric: "hits", Period: "eternity", Max: 1e9}}
				require.NoError(t, w.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "hour", Keys: &key, Limits: &limits, Plan: &key[0]}))
				w.get("authrep", keys["known"]...)
				w.get("authrep", keys["wrong"]...)
				w.backend.set(true, 0)
				pass(time.Millisecond)
				begun := time.Now()
				said := map[string][]string{}
				for time.Since(begun) < 70*time.Minute {
					for name, pairs := range keys {
						answer := w.get("authrep", pairs...)
						text := strings.TrimSpace(fmt.Sprint(answer.status, " ", answer.rejection()))
						history := said[name]
						if len(history) == 0 {
							said[name] = []string{text}
						} else if last := history[len(history)-1]; !strings.HasSuffix(last, text) {
							said[name] = append(history, "until "+time.Since(begun).String()+", then "+text)
						}
					}
					pass(5 * time.Second)
				}
				for name := range keys {
					assert.Equal(t, want[name], strings.Join(said[name], " "), name)
				}
				t.Logf("%d questions in 70 minutes", w.backend.calls()-2)
				assert.Less(t, w.backend.calls(), 70*60/20, "the breaker lets few through")
				w.backend.set(false, 0)
				pass(40 * time.Second)
				for range 3 {
					w.get("authrep", keys["known"]...)
					pass(time.Second)
				}
				assert.Equal(t, http.StatusOK, w.get("authrep", keys["known"]...).status, "afterwards")
				assert.Equal(t, "application_key_invalid", w.get("authrep", keys["wrong"]...).rejection(), "afterwards")
			})
		})
	}
}

// TestLimitsHoldInAnOutage: what is served stale is still held against its limits.
func TestLimitsHoldInAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("out", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100}, sandbox.Limit{Metric: "hits", Period: "minute", Max: 10})
		require.Equal(t, http.StatusOK, w.get("authorize", "app_id", "out", "usage[hits]", "1").status)
		w.backend.set(true, 0)
		granted := 0
		for range 30 {
			granted += w.hammer(64, "app_id", "out", "usage[hits]", "1")
			pass(time.Minute)
		}
		assert.Equal(t, 100, granted)
		w.backend.set(false, 0)
		w.deliver()
		assert.EqualValues(t, 100, w.counted("out", "hits"))
	})
}

// TestNoAnswerOfItsOwn: what is no answer of the backend is never remembered, and never passed on.
func TestNoAnswerOfItsOwn(t *testing.T) {
	for name, fault := range map[string]sandbox.Fault{
		"500": {Status: 500}, "503": {Status: 503, RetryAfter: "1"}, "429": {Status: 429}, "502 page": {Status: 502, Body: "<html>"},
		"200 page": {Status: 200, Body: "<html>captive portal</html>"}, "301": {Status: 301, Headers: map[string]string{"Location": "/"}},
		"404 page": {Status: 404, Body: "<html>"}, "403 page": {Status: 403, Body: "forbidden"}, "409 empty": {Status: 409},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				require.NoError(t, w.sandbox.SetFaults(sandbox.Faults{Authorize: []sandbox.Fault{fault}}))
				answer := w.get("authorize", "app_id", "app2")
				assert.Equal(t, http.StatusConflict, answer.status)
				assert.Equal(t, codeUnavailable, answer.rejection())
				assert.NotEmpty(t, answer.verdict(t).Plan, "clients need one")
				require.NoError(t, w.sandbox.SetFaults(sandbox.Faults{}))
				pass(2 * time.Second)
				assert.Equal(t, http.StatusOK, w.get("authorize", "app_id", "app2").status)
				require.NoError(t, w.sandbox.SetFaults(sandbox.Faults{Authorize: []sandbox.Fault{fault}}))
				pass(10 * time.Minute)
				assert.Equal(t, http.StatusOK, w.get("authorize", "app_id", "app2").status, "stale")
				assert.Equal(t, "Gold", w.get("authorize", "app_id", "app2").verdict(t).Plan)
			})
		})
	}
}

// TestModeNoneRemembersNoMetric: nor that one does not exist.
func TestModeNoneRemembersNoMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) { o.Mode = None })
		require.Equal(t, http.StatusNotFound, w.get("authorize", "app_id", "app2", "usage[soon]", "1").status)
		before := w.backend.calls()
		pass(time.Second)
		require.Equal(t, http.StatusNotFound, w.get("authorize", "app_id", "app2", "usage[soon]", "1").status)
		assert.Greater(t, w.backend.calls(), before)
		s := w.Service(quota.ServiceName{ID: "1001"})
		s.Metric("hits").MarkDenied(time.Now())
		pass(time.Second)
		assert.Equal(t, http.StatusOK, w.get("authorize", "app_id", "app2", "usage[hits]", "1").status)
	})
}

// TestAllowReportsWhatItGrants: in an outage, too, a yes is billed or counted as not, and a no is never billed.
func TestAllowReportsWhatItGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) { o.Mode, o.MaxStale, o.MaxEntries = Allow, time.Minute, 1 })
		w.load()
		s := w.Service(quota.ServiceName{ID: "1001"})
		s.Metric("hits").MarkDenied(time.Now())
		pass(time.Second)
		s.Metric("hits").MarkSeen(time.Now())
		w.backend.set(true, 0)
		pass(2 * time.Minute)
		status := w.get("authrep", "app_id", "app2", "usage[hits]", "1").status
		assert.Equal(t, map[int]int{200: 1, 409: 0}[status], len(w.journal.take()), "answered %d", status)

		for i := 0; w.Applications() < w.options.Applications(); i++ { // until there is no room to follow another
			w.Refer(quota.Name{Service: quota.ServiceName{ID: "1001"}, Application: threescale.Application{ID: fmt.Sprint("filler", i)}}, s)
		}
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "bulk1", "usage[search]", "1").status)
		assert.Len(t, w.journal.take(), 1)
	})
}
