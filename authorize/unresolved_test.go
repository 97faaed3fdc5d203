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

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// rejection is how an answer says no: the header of a 409, or the code of an <error>.
func (g got) rejection() string {
	if e, ok := threescale.ParseError([]byte(g.body)); ok {
		return e.Code
	}
	return field(g.header, "3scale-Rejection-Reason")
}

// TestKeyLetsNobodyElseThrough: each call is answered for what it shows, also after other authorizations.
func TestKeyLetsNobodyElseThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		right := []string{"app_id", "app1", "app_key", "key1"}
		require.Equal(t, http.StatusOK, w.get("authorize", right...).status)
		for _, c := range []struct {
			name  string
			pairs []string
			code  string
			in    string
		}{
			{"wrong key", []string{"app_id", "app1", "app_key", "key2"}, "application_key_invalid", `"key2"`},
			{"beginning of the key", []string{"app_id", "app1", "app_key", "key"}, "application_key_invalid", `"key"`},
			{"no key", []string{"app_id", "app1"}, "application_key_invalid", "is missing"},
			{"empty key", []string{"app_id", "app1", "app_key", ""}, "application_key_invalid", "is missing"},
			{"another application's key", []string{"app_id", "app1", "app_key", "okey1"}, "application_key_invalid", `"okey1"`},
			{"wrong token", append([]string{"service_token", "stoken1002"}, right...), "service_token_invalid", "stoken1002"},
			{"parts that join alike", []string{"app_id", "app1k", "app_key", "ey1"}, "application_not_found", "app1k"},
			{"user key", []string{"user_key", "app1"}, "application_not_found", "is missing"},
		} {
			for _, state := range []string{"cold", "warm"} {
				answer := w.get("authorize", c.pairs...)
				assert.Equal(t, c.code, answer.rejection(), "%s, %s", c.name, state)
				assert.Contains(t, answer.body, c.in, "%s, %s", c.name, state)
			}
		}
		assert.Equal(t, http.StatusOK, w.get("authorize", right...).status, "and the right one still is")
		assert.Equal(t, http.StatusOK, w.get("authorize", "app_id", "app1", "app_key", " key1b ").status, "the other right one, stripped")
	})
}

// TestChangesTakeEffect: each change is seen with the first call after the ttl at the latest, and of a key
// in use after three quarters of it.
func TestChangesTakeEffect(t *testing.T) {
	none, other := []string{"other"}, []sandbox.Limit{{Metric: "hits", Period: "day", Max: 1}}
	for _, c := range []struct {
		name   string
		change sandbox.ApplicationChange
		want   string
	}{
		{"deleted application", sandbox.ApplicationChange{State: "deleted"}, "application_not_found"},
		{"suspended application", sandbox.ApplicationChange{State: "suspended"}, "application_not_active"},
		{"revoked key", sandbox.ApplicationChange{Keys: &none}, "application_key_invalid"},
		{"lowered limit", sandbox.ApplicationChange{Limits: &other}, "limits_exceeded"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, nil)
				key := []string{"key"}
				require.NoError(t, w.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "x", Keys: &key}))
				require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "x", "app_key", "key", "usage[hits]", "1").status)
				c.change.ServiceID, c.change.AppID = "1001", "x"
				require.NoError(t, w.sandbox.PutApplications(c.change))
				begun := time.Now()
				for {
					answer := w.get("authorize", "app_id", "x", "app_key", "key", "usage[hits]", "1")
					if answer.status != http.StatusOK {
						assert.Equal(t, c.want, answer.rejection())
						break
					}
					pass(500 * time.Millisecond)
				}
				t.Logf("%s of an application in use: after %v", c.name, time.Since(begun))
				assert.LessOrEqual(t, time.Since(begun), DefaultTTL)
			})
		})
	}
}

// TestNewlyRightTakesEffect: a denial ends within deny_ttl, one for a limit with its period.
func TestNewlyRightTakesEffect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		require.Equal(t, "application_not_found", w.get("authorize", "app_id", "young").rejection())
		w.limited("young", sandbox.Limit{Metric: "hits", Period: "minute", Max: 1})
		pass(DefaultDenyTTL)
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "young", "usage[hits]", "1").status)
		denied := w.get("authrep", "app_id", "young", "usage[hits]", "1")
		require.Equal(t, "limits_exceeded", denied.rejection())
		assert.Equal(t, "50", field(denied.header, "3scale-limit-reset"))
		pass(50 * time.Second)
		assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "young", "usage[hits]", "1").status, "with the new minute")
	})
}

// TestDeletedMetric: a metric that is gone is refused within the ttl, and one that is new is let through
// within deny_ttl.
func TestDeletedMetric(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		assert.Equal(t, "metric_invalid", w.get("authrep", "app_id", "app2", "usage[fresh]", "1").rejection())
		before := w.backend.calls()
		pass(time.Millisecond)
		assert.Equal(t, "metric_invalid", w.get("authrep", "app_id", "app2", "usage[fresh]", "1").rejection())
		assert.Equal(t, before+1, w.backend.calls(), "once more for the application, of which nothing was said")
		for range 5 {
			assert.Equal(t, "metric_invalid", w.get("authrep", "app_id", "app2", "usage[fresh]", "1").rejection())
		}
		assert.Equal(t, before+1, w.backend.calls())
		require.NoError(t, w.sandbox.PutServices(sandbox.ServiceChange{ID: "1001", Metrics: []sandbox.Metric{{Name: "fresh", Parent: "other"}}}))
		pass(DefaultDenyTTL)
		assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "app2", "usage[fresh]", "1").status)
	})
}

// TestNoKeyInMemory: what is remembered holds neither tokens nor application keys, right or wrong.
func TestNoKeyInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, passing)
		require.Equal(t, http.StatusOK, w.get("authorize", "app_id", "app1", "app_key", "key1").status)
		w.get("authorize", "app_id", "app1", "app_key", "secret-wrong")
		w.get("authorize", "app_id", "app1", "service_token", "secret-token")
		w.get("authorize", "user_key", "secret-user-key", "service_id", "1002", "service_token", "stoken1002")
		var all strings.Builder
		for _, c := range []*cache{w.good, w.bad} {
			c.each(func(e *entry) { fmt.Fprintf(&all, "%q %q %q %q %v\n", e.key, e.code, e.text, e.reason, e.keys) })
		}
		assert.Equal(t, 4, strings.Count(all.String(), "\n"))
		for _, secret := range []string{"key1", "stoken", "secret"} {
			assert.NotContains(t, all.String(), secret)
		}
	})
}
