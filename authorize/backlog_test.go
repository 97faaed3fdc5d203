package authorize

import (
	"context"
	"io"
	"iter"
	"net/http"
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

// load follows, and reads the backlog.
func (w *world) load() {
	w.t.Helper()
	w.Follow()
	require.NoError(w.t, w.Run(w.t.Context()))
	require.True(w.t, w.Loaded())
}

// usageOf is the usage of events of service 1001.
func usageOf(events []event.Event) iter.Seq[quota.Usage] {
	return func(yield func(quota.Usage) bool) {
		for i := range events {
			lane := quota.Lane{ServiceID: events[i].ServiceID, Credentials: events[i].Credentials, FlatUsage: events[i].FlatUsage}
			if !yield(quota.Usage{Lane: lane, Transaction: &events[i].Transaction}) {
				return
			}
		}
	}
}

// unsealed is a backlog of events in the journal.
func unsealed(events []event.Event) quota.Backlog {
	return quota.Backlog{Close: func() {}, Next: func(context.Context) (iter.Seq[quota.Usage], error) {
		if len(events) == 0 {
			return nil, io.EOF
		}
		all := events
		events = nil
		return usageOf(all), nil
	}}
}

// pendingHits makes n events of one hit of an application.
func pendingHits(app string, n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: app}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(),
		}}
	}
	return events
}

// TestAFailedReadIsRepeated until it succeeds: usage that is on disk and could not be read at first still counts, so
// that not more than the limit is granted. Meanwhile the mode answers, and nothing is granted where it denies.
func TestAFailedReadIsRepeated(t *testing.T) {
	for mode, granted := range map[Mode]int{Resilient: 0, Strict: 0, None: 0, Allow: 1} {
		t.Run(mode.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var fails time.Time
				w := newWorld(t, func(o *worldOptions) {
					o.Mode = mode
					o.pending = func() quota.Backlog {
						b := unsealed(pendingHits("read", 44))
						next := b.Next
						b.Next = func(ctx context.Context) (iter.Seq[quota.Usage], error) {
							if time.Now().Before(fails) {
								return nil, io.ErrUnexpectedEOF
							}
							return next(ctx)
						}
						return b
					}
				})
				go func() { assert.NoError(t, w.Run(w.t.Context())) }() // ends by itself
				fails = time.Now().Add(time.Minute)
				w.limited("read", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
				begun := time.Now()
				early := w.get("authrep", "app_id", "read", "usage[hits]", "1")
				assert.Equal(t, 10*time.Second, time.Since(begun), "as long as an authorization waits")
				assert.Equal(t, granted == 1, early.status == http.StatusOK)
				pass(2 * time.Minute)
				require.True(t, w.Loaded())
				for range 200 {
					if w.get("authrep", "app_id", "read", "usage[hits]", "1").status == http.StatusOK {
						granted++
					}
				}
				assert.Equal(t, 56, granted)
			})
		})
	}
}

// TestIntakeDoesNotWaitForTheBacklog: while it is read, which takes a minute, usage is taken in, sent and settled.
func TestIntakeDoesNotWaitForTheBacklog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		earlier := pendingHits("beside", 20)
		w := newWorld(t, func(o *worldOptions) {
			o.pending = func() quota.Backlog {
				b := unsealed(earlier[:10])
				next := b.Next
				b.Next = func(ctx context.Context) (iter.Seq[quota.Usage], error) {
					pass(30 * time.Second)
					return next(ctx)
				}
				b.Reports = []quota.PendingReport{{Batch: "old", Transactions: 10, Attempted: true}}
				b.Read = func(string) (quota.Lane, []threescale.Transaction, error) {
					return quota.Lane{}, nil, quota.ErrNoReport
				}
				return b
			}
		})
		go func() { assert.NoError(t, w.Run(w.t.Context())) }() // ends by itself
		w.limited("beside", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		w.Follow()
		begun := time.Now()
		w.accept("beside", "hits", 5)
		w.deliver()
		outcomes := make([]quota.Outcome, 10)
		outcomes[9] = quota.Refused
		w.others("beside", 9) // the report of before had landed
		w.Settled("old", lane1001, with(earlier[10:], outcomes...))
		assert.Zero(t, time.Since(begun))
		pass(2 * time.Minute)
		require.True(t, w.Loaded())
		assert.EqualValues(t, 10+9+5, w.get("authorize", "app_id", "beside").current(t, "hits", threescale.Eternity))
	})
}

// TestAReportThatWasGivenUp: it is not there, and no outcome comes. Authorizations do not wait for it for ever.
func TestAReportThatWasGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *worldOptions) {
			o.pending = func() quota.Backlog {
				b := unsealed(nil)
				b.Reports = []quota.PendingReport{{Batch: "lost", Transactions: 10}}
				b.Read = func(string) (quota.Lane, []threescale.Transaction, error) {
					return quota.Lane{}, nil, quota.ErrNoReport
				}
				return b
			}
		})
		begun := time.Now()
		w.load()
		assert.LessOrEqual(t, time.Since(begun), 20*time.Second)
		assert.Equal(t, http.StatusOK, w.get("authrep", "app_id", "app2", "usage[hits]", "1").status)
	})
}
