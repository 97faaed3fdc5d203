package authorize

import (
	"net/http"
	"net/http/httptest"
	"net/url"
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

// ask makes an authrep with parameters in pairs, without any of its own.
func (w *world) ask(pairs ...string) got {
	q := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		q.Set(pairs[i], pairs[i+1])
	}
	return w.send(httptest.NewRequest(http.MethodGet, "/transactions/authrep.xml?"+q.Encode(), nil))
}

// forms are the ways of naming service 1001.
var forms = [][]string{
	{"provider_key", "pkey"},
	{"service_token", "stoken1001", "service_id", "1001"},
	{"provider_key", "pkey", "service_id", "1001"},
	{"provider_key", "pkey", "service_id", "foo-1001"},
	{"provider_key", "pkey", "service_id", "another-1001"},
}

// TestOneAccountUnderAllNames: a limit of 100 grants 100, under each name of a service, configured by token or not
// at all; the names in the journal are those of the backend, and the account of each name is the same after a restart.
func TestOneAccountUnderAllNames(t *testing.T) {
	for name, services := range map[string][]Service{"passed through": nil, "configured by token": configured[:1]} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, func(o *worldOptions) { o.Services = services })
				w.limited("named", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
				granted := 0
				use := func(w *world, calls int) {
					for i := range calls {
						if w.ask(append([]string{"app_id", "named", "usage[hits]", "1"}, forms[i%len(forms)]...)...).status == http.StatusOK {
							granted++
						}
					}
				}
				use(w, 60)
				for _, e := range w.journal.events {
					assert.Equal(t, "1001", e.ServiceID)
				}
				use(w, 10)
				kept := w.journal.take()
				saved := w.save()
				assert.NotContains(t, saved, "pkey")
				next := newWorld(t, func(o *worldOptions) {
					o.Services, o.Client = services, w.client
					o.pending = func() quota.Backlog { return unsealed(kept) }
				})
				require.NoError(t, next.restore(saved))
				next.load()
				use(next, 50)
				assert.Equal(t, 100, granted)
			})
		})
	}
}

// TestUsageMovesToItsName: usage that was accepted before the backend told what a name means counts under that name once it did.
func TestUsageMovesToItsName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, passing)
		w.load()
		w.limited("early", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		key := threescale.Credentials{ProviderKey: "pkey"}
		early := func(n uint64) event.Event {
			return event.Event{Credentials: key, Transaction: threescale.Transaction{
				Application: threescale.Application{ID: "early"}, Usage: threescale.Usage{{Metric: "search", Value: n}}, Timestamp: time.Now().Unix(),
			}}
		}
		_, err := w.Append(t.Context(), []event.Event{early(30)})
		require.NoError(t, err)
		waiting := w.journal.take()
		assert.Empty(t, waiting[0].ServiceID, "nothing is known yet")
		assert.EqualValues(t, 0, w.get("authorize", "app_id", "early").current(t, "hits", threescale.Eternity))
		require.Equal(t, http.StatusOK, w.ask("provider_key", "pkey", "app_id", "early", "usage[hits]", "5").status)
		pass(DefaultTTL)
		assert.EqualValues(t, 35, w.get("authorize", "app_id", "early").current(t, "hits", threescale.Eternity))

		lane := quota.Lane{Credentials: key} // it is delivered under the name that it was accepted with
		w.Sending("b", lane, some(waiting, 0))
		_, err = w.client.Report(t.Context(), &threescale.Report{Credentials: key, Transactions: []threescale.Transaction{waiting[0].Transaction}})
		require.NoError(t, err)
		w.Settled("b", lane, with(waiting, quota.Delivered))
		pass(DefaultTTL)
		assert.EqualValues(t, 35, w.get("authorize", "app_id", "early").current(t, "hits", threescale.Eternity))
		_, err = w.Append(t.Context(), []event.Event{early(1)})
		require.NoError(t, err)
		for _, e := range w.journal.take() {
			assert.Equal(t, "1001", e.ServiceID)
		}
	})
}

// TestUserKeyAndID: an application of a user-key service that is reported by its id and limited by its user key has one account.
func TestUserKeyAndID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.load()
		limits, plan := []sandbox.Limit{{Metric: "hits", Period: "eternity", Max: 100}}, "Test"
		require.NoError(t, w.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1002", AppID: "appuk", Plan: &plan, Limits: &limits}))
		byID := func(n uint64) {
			_, err := w.Append(t.Context(), []event.Event{{ServiceID: "1002", Transaction: threescale.Transaction{
				Application: threescale.Application{ID: "appuk"}, Usage: threescale.Usage{{Metric: "hits", Value: n}}, Timestamp: time.Now().Unix(),
			}}})
			require.NoError(t, err)
		}
		granted := 0
		byKey := func(calls int) {
			for range calls {
				if w.ask("service_token", "stoken1002", "service_id", "1002", "user_key", "ukey1", "usage[hits]", "1").status == http.StatusOK {
					granted++
				}
			}
		}
		byID(30)
		byKey(10)
		byID(30)
		byKey(10)
		w.deliver()
		byKey(10)
		pass(DefaultTTL)
		byKey(100)
		assert.Equal(t, 40, granted)
		for _, e := range w.journal.take() {
			assert.Equal(t, "ukey1", e.Application.UserKey, "it is reported by the name that it came with")
		}
	})
}
