package partition

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// direct answers calls without a network.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w.Result(), nil
}

// oneHit makes n events, each of one hit of one of some applications.
func oneHit(n, applications int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: fmt.Sprint("app", i%applications)},
			Usage:       threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(),
		}}
	}
	return events
}

// cutAll makes one batch of everything in the journal, with one transaction for each event.
func cutAll(t *testing.T, s *spool.Spool, transactions []event.Event) {
	t.Helper()
	cut, err := s.BeginCut(s.Readable())
	require.NoError(t, err)
	b := &spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}}
	for i := range transactions {
		b.Transactions = append(b.Transactions, spool.Transaction{Transaction: transactions[i].Transaction, Events: 1})
	}
	require.NoError(t, cut.Add(b))
	require.NoError(t, cut.Commit(0))
}

// TestIntakeBesideTheBacklog: with much pending, in batches and in the journal, the first authorization comes. Intake
// and cuts go on, and in the end each event is counted once. REPORTERD_BACKLOG says how many are pending, and makes
// the test print how long intake took.
func TestIntakeBesideTheBacklog(t *testing.T) {
	many := 20_000
	if n, err := strconv.Atoi(os.Getenv("REPORTERD_BACKLOG")); err == nil {
		many = n
	}
	dir := t.TempDir()
	s, _, err := spool.Open(spool.Options{Dir: dir})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	const applications, size = 1000, 1000
	for n := 0; n < many; n += size {
		events := oneHit(size, applications)
		_, err := s.Append(t.Context(), events)
		require.NoError(t, err)
		if n < many*9/10 {
			cutAll(t, s, events)
		}
	}
	backend := sandbox.New(sandbox.Options{})
	limits := []sandbox.Limit{{Metric: "hits", Period: "eternity", Max: 1 << 40}}
	require.NoError(t, backend.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "app7", Limits: &limits}))
	client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend", Transport: direct{backend}})
	require.NoError(t, err)
	follow := quota.New(quota.Options{Applications: 4 * applications, Journal: s, Pending: backlogOf(zap.NewNop(), s, dir)})
	auth := authorize.New(authorize.Options{
		TTL: time.Minute, Client: client, Journal: s, Quota: follow,
		Services: []authorize.Service{{ID: "1001", Credentials: threescale.Credentials{ServiceToken: "stoken1001"}}},
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- follow.Run(ctx) }()

	begun := time.Now()
	follow.Follow()
	followed := time.Since(begun)
	var took []time.Duration
	accepted := many
	for !follow.Loaded() || len(took) < 100 {
		events := oneHit(applications, applications)
		at := time.Now()
		_, err := follow.Append(t.Context(), events)
		took = append(took, time.Since(at))
		require.NoError(t, err)
		accepted += len(events)
		if len(took) == 2 { // what is being read is sealed
			cut, err := s.BeginCut(s.Readable())
			require.NoError(t, err)
			b := &spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}}
			for i := range events {
				b.Transactions = append(b.Transactions, spool.Transaction{Transaction: events[i].Transaction, Events: 1})
			}
			rest := int(s.Readable()-s.Committed()) - len(events)
			b.Transactions[0].Events += uint32(rest)
			require.NoError(t, cut.Add(b))
			require.NoError(t, cut.Commit(0))
		}
	}
	require.NoError(t, <-ended)
	loaded := time.Since(begun)

	answer := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/transactions/authorize.xml?service_token=stoken1001&service_id=1001&app_id=app7", nil)
	auth.Handler(r.Method, r.URL.Path).ServeHTTP(answer, r)
	status, err := threescale.ParseStatus(answer.Body.Bytes())
	require.NoError(t, err, answer.Body.String())
	assert.EqualValues(t, accepted/applications, status.UsageReports[0].CurrentValue)
	assert.True(t, authorized(dir), "the next life reads what is pending before any of it is sent")

	slices.Sort(took)
	t.Logf("%d pending: followed after %v, read after %v; %d requests of %d events beside it: median %v, p99 %v, longest %v",
		many, followed, loaded, len(took), applications, took[len(took)/2], took[len(took)*99/100], took[len(took)-1])
}
