package authorize

import (
	"errors"
	"net/http"
	"net/http/httptest"
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

// TestKnownEventsDoNotCountAgain: of a request that is partly a repetition, the rest counts against limits.
func TestKnownEventsDoNotCountAgain(t *testing.T) {
	w := newWorld(t, nil)
	w.limited("ids", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
	require.EqualValues(t, 0, w.get("authorize", "app_id", "ids").current(t, "hits", threescale.Eternity))
	offer := func(ids ...string) {
		var events []event.Event
		for _, id := range ids {
			events = append(events, event.Event{ServiceID: "1001", ID: id, Transaction: threescale.Transaction{
				Application: threescale.Application{ID: "ids"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(),
			}})
		}
		_, err := w.Append(t.Context(), events)
		require.NoError(t, err)
	}
	for _, c := range []struct {
		ids   []string
		count int64
	}{{[]string{"a", "b"}, 2}, {[]string{"a", "c", "b", ""}, 4}, {[]string{"a", "b", "c"}, 4}, {[]string{"d"}, 5}} {
		offer(c.ids...)
		assert.Equal(t, c.count, w.get("authorize", "app_id", "ids").current(t, "hits", threescale.Eternity), "%v", c.ids)
	}
}

// TestWhatAuthrepReports: the event of each call, none for one that is denied or uses nothing.
func TestWhatAuthrepReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for _, c := range []struct {
			name  string
			pairs []string
			want  []event.Event
		}{
			{"hits", []string{"app_id", "app2", "usage[hits]", "2"}, []event.Event{{ServiceID: "1001", Transaction: threescale.Transaction{
				Application: threescale.Application{ID: "app2"}, Usage: threescale.Usage{{Metric: "hits", Value: 2}}, Timestamp: time.Now().Unix()}}}},
			{"code", []string{"app_id", "app2", "usage[hits]", "1", "log[code]", "404"}, []event.Event{{ServiceID: "1001", Transaction: threescale.Transaction{
				Application: threescale.Application{ID: "app2"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(), Code: 404}}}},
			{"nothing", []string{"app_id", "app2"}, nil},
			{"zero", []string{"app_id", "app2", "usage[hits]", "0", "log[code]", "200"}, nil},
			{"wrong key", []string{"app_id", "app1", "app_key", "bad", "usage[hits]", "1"}, nil},
			{"unknown metric", []string{"app_id", "app2", "usage[nosuch]", "1"}, nil},
			{"set", []string{"app_id", "app2", "usage[hits]", "#1"}, nil},
			{"too large", []string{"app_id", "app2", "usage[hits]", "9223372036854775807"}, nil},
		} {
			w.get("authrep", c.pairs...)
			assert.Equal(t, c.want, w.journal.take(), c.name)
		}
		w.get("authorize", "app_id", "app2", "usage[hits]", "1")
		assert.Empty(t, w.journal.take(), "authorize counts nothing")
		r := httptest.NewRequest(http.MethodHead, "/transactions/authrep.xml?service_token=stoken1001&service_id=1001&app_id=app2&usage[hits]=1", nil)
		require.Equal(t, http.StatusOK, w.send(r).status)
		assert.Len(t, w.journal.take(), 1, "HEAD counts")
		r = httptest.NewRequest(http.MethodGet, "/transactions/authrep.xml?provider_key=pkey&app_id=app2&usage[hits]=1", nil)
		require.Equal(t, http.StatusOK, w.send(r).status)
		assert.Equal(t, threescale.Credentials{ProviderKey: "pkey"}, w.journal.take()[0].Credentials, "passed on where no service is configured for them")
	})
}

// TestJournalRefuses: in each mode, what an authrep is answered when its usage cannot be kept; authorize
// does not care.
func TestJournalRefuses(t *testing.T) {
	full := &event.Refused{Full: true, RetryAfter: 3 * time.Second, Err: errors.New("full")}
	for mode, status := range map[Mode]int{Strict: 409, Resilient: 409, None: 409, Allow: 200} {
		for name, fail := range map[string]error{"full": full, "broken": errors.New("input/output error")} {
			t.Run(mode.String()+" "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, func(o *worldOptions) { o.Mode = mode })
					w.limited("jam", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 10})
					w.journal.fail = fail
					for range 5 {
						assert.Equal(t, status, w.get("authrep", "app_id", "jam", "usage[hits]", "2").status)
					}
					assert.Equal(t, http.StatusOK, w.get("authorize", "app_id", "jam").status)
					s := w.Stats()
					assert.EqualValues(t, 5, s.Refused)
					assert.EqualValues(t, map[bool]int{true: 5, false: 0}[mode == Allow], s.Unbilled)
					w.journal.fail = nil
					want := map[bool]int{true: 5, false: 0}[name == "full"] // the outcome of the rest is unknown: they stay counted
					assert.Equal(t, want, w.hammer(64, "app_id", "jam", "usage[hits]", "2"))
				})
			})
		}
	}
}

// TestRestartCountsPending: what an earlier life accepted and did not deliver is in no counter of the
// backend, and counts; a report in flight at the kill may be in one, and is settled by its second time.
func TestRestartCountsPending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t, nil)
		first.limited("again", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		require.Equal(t, 40, first.hammer(64, "app_id", "again", "usage[search]", "1")-24)
		events := first.journal.take()
		first.journal.events = events[:20]
		first.deliver()
		second := newWorld(t, func(o *worldOptions) {
			o.Client = first.client
			o.pending = func() quota.Backlog { return unsealed(events[20:]) }
		})
		second.client, second.sandbox = first.client, first.sandbox
		second.load()
		assert.Equal(t, 36, second.hammer(640, "app_id", "again", "usage[hits]", "1"))
		second.journal.events = append(second.journal.events, events[20:]...)
		second.deliver()
		assert.EqualValues(t, 100, second.counted("again", "hits"))
	})
}

// TestPendingThatMayBeCounted: an ambiguous report is neither forgotten nor taken for usage of another reporter.
func TestPendingThatMayBeCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("doubt", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "doubt", "usage[hits]", "30").status)
		e := w.journal.take()[0]
		one := func(yield func(int, *threescale.Transaction) bool) { yield(0, &e.Transaction) }
		w.Sending("b", quota.Lane{ServiceID: "1001"}, one)
		w.others("doubt", 30) // it landed, but the answer was lost
		pass(DefaultTTL)
		assert.EqualValues(t, 30, w.get("authorize", "app_id", "doubt").current(t, "hits", threescale.Eternity), "it may be that report")
		w.Sending("b", quota.Lane{ServiceID: "1001"}, one)
		w.others("doubt", 30) // the second time: counted twice
		w.Settled("b", quota.Lane{ServiceID: "1001"}, func(yield func(*threescale.Transaction, quota.Outcome) bool) { yield(&e.Transaction, quota.Delivered) })
		pass(DefaultTTL)
		assert.EqualValues(t, 60, w.get("authorize", "app_id", "doubt").current(t, "hits", threescale.Eternity), "now it shows")
	})
}

// TestDeadLettersDoNotWeigh: usage that will never be counted does not stand in the way.
func TestDeadLettersDoNotWeigh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("dead", sandbox.Limit{Metric: "hits", Period: "day", Max: 100})
		require.Equal(t, http.StatusOK, w.get("authrep", "app_id", "dead", "usage[hits]", "60").status)
		e := w.journal.take()[0]
		w.Sending("b", quota.Lane{ServiceID: "1001"}, func(yield func(int, *threescale.Transaction) bool) { yield(0, &e.Transaction) })
		w.Settled("b", quota.Lane{ServiceID: "1001"}, func(yield func(*threescale.Transaction, quota.Outcome) bool) { yield(&e.Transaction, quota.Refused) })
		assert.EqualValues(t, 0, w.get("authorize", "app_id", "dead").current(t, "hits", threescale.Day))
	})
}

// TestFirstAnswerWaitsForReportsInFlight: usage in flight when an application is first asked about is
// counted once, whether or not its report had landed.
func TestFirstAnswerWaitsForReportsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.load()
		w.limited("flying", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		w.accept("flying", "hits", 30)
		e := w.journal.take()[0]
		w.Sending("b", quota.Lane{ServiceID: "1001"}, func(yield func(int, *threescale.Transaction) bool) { yield(0, &e.Transaction) })
		w.others("flying", 30) // it has landed, and its answer is on the way
		go func() {
			pass(100 * time.Millisecond)
			w.Settled("b", quota.Lane{ServiceID: "1001"}, func(yield func(*threescale.Transaction, quota.Outcome) bool) { yield(&e.Transaction, quota.Delivered) })
		}()
		assert.EqualValues(t, 30, w.get("authorize", "app_id", "flying").current(t, "hits", threescale.Eternity))
	})
}
