package daemon

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/batcher"
	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/daemon/replica"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// world is a sandbox, and what an engine in front of it is made of.
type world struct {
	backend *httptest.Server
	options partition.Options
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{backend: httptest.NewServer(sandbox.New(sandbox.Options{}))}
	t.Cleanup(w.backend.Close)
	client := threescale.ClientOptions{URL: w.backend.URL, Timeout: 10 * time.Second, MaxConns: 8}
	dir := t.TempDir()
	w.options = partition.Options{
		Dir: dir, Log: zap.NewNop(), Services: services1001("stoken1001"),
		Spool:   spool.Options{Dir: filepath.Join(dir, "spool"), Sync: spool.Never, DedupeWindow: time.Minute},
		Batcher: batcher.Options{FlushInterval: time.Hour, Aggregate: true},
		Proof:   partition.ProofOptions{Life: time.Hour, ProbeRate: 1000},
		Reports: client, Authorizations: client, Probes: client,
		Authorize: authorize.Options{TTL: time.Minute, DenyTTL: time.Second},
	}
	return w
}

func services1001(token string) []event.Service {
	return []event.Service{{ID: "1001", Credentials: threescale.Credentials{ServiceToken: token}}}
}

// engines are both implementations in front of a sandbox of their own, started.
func engines(t *testing.T, test func(t *testing.T, w *world, e engine)) {
	t.Run("partition", func(t *testing.T) {
		w := newWorld(t)
		e, err := partition.Open(w.options)
		require.NoError(t, err)
		run(t, w, e, test)
	})
	t.Run("replica", func(t *testing.T) {
		server, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: t.TempDir(), Lazy: true})
		require.NoError(t, err)
		t.Cleanup(func() { _ = server.Stop(context.Background()) })
		w := newWorld(t)
		w.options.Spool.Dir = "/spool"
		e, err := replica.Open(replica.Options{
			Partition: w.options, AuthorizeTimeout: 10 * time.Second, Log: zap.NewNop(),
			Cluster: cluster.Options{Prefix: "reporterd", Partitions: 3, Replicas: 1, PinTTL: 5 * time.Second},
			Dial:    func(context.Context) (*nats.Conn, error) { return nats.Connect("nats://" + server.Address()) },
		})
		require.NoError(t, err)
		run(t, w, e, test)
	})
}

func run(t *testing.T, w *world, e engine, test func(t *testing.T, w *world, e engine)) {
	require.NoError(t, e.Start(t.Context()))
	require.Eventually(t, func() bool { return e.Ready() == nil }, time.Minute, 10*time.Millisecond, "it gets ready")
	test(t, w, e)
	assert.NoError(t, e.Stop(t.Context()))
	assert.ErrorIs(t, e.Ready(), partition.ErrStopping, "one that was stopped is not ready")
	assert.NoError(t, e.Close(true))
}

func (w *world) usage(t *testing.T) map[string]map[string]map[string]int {
	t.Helper()
	answer, err := http.Get(w.backend.URL + "/sandbox/usage")
	require.NoError(t, err)
	defer func() { _ = answer.Body.Close() }()
	var counted map[string]map[string]map[string]int
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&counted))
	return counted
}

func hits(app string, n uint64) event.Event {
	return event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: app}, Timestamp: time.Now().Unix(), Usage: threescale.Usage{{Metric: "hits", Value: n}},
	}}
}

// What is appended is reported by a flush, and every figure says so, with each engine.
func TestEngineDelivers(t *testing.T) {
	engines(t, func(t *testing.T, w *world, e engine) {
		_, err := e.Append(t.Context(), []event.Event{hits("app1", 2), hits("app2", 3)})
		require.NoError(t, err)
		assert.EqualValues(t, 2, e.Pending())
		mustFlush(t, e)
		require.Eventually(t, func() bool { return e.Snapshot(0).Events.Delivered == 2 }, time.Minute, 10*time.Millisecond)
		assert.Equal(t, 2, w.usage(t)["1001"]["app1"]["hits"])
		assert.Equal(t, 3, w.usage(t)["1001"]["app2"]["hits"])
		assert.Zero(t, e.Pending())
	})
}

// Usage that 3scale does not take becomes a dead letter, which is listed, shown, requeued and dropped, with each engine.
func TestEngineDeadLetters(t *testing.T) {
	engines(t, func(t *testing.T, w *world, e engine) {
		require.NoError(t, e.Reject(partition.Message{ServiceID: "1001", Subject: "usage.1001", Payload: []byte("{"), Code: "invalid_message"}))
		_, err := e.Append(t.Context(), []event.Event{hits("nosuch", 1)})
		require.NoError(t, err)
		mustFlush(t, e)
		query := console.DeadLetterQuery{Limit: 10}
		require.Eventually(t, func() bool {
			page, err := e.DeadLetters(t.Context(), query)
			return err == nil && len(page.Letters) == 2
		}, time.Minute, 10*time.Millisecond)

		query.Reason = "application_not_found"
		page, err := e.DeadLetters(t.Context(), query)
		require.NoError(t, err)
		require.Len(t, page.Letters, 1)
		var letter struct{ ID string }
		require.NoError(t, json.Unmarshal(page.Letters[0], &letter))
		shown, err := e.DeadLetter(t.Context(), letter.ID)
		require.NoError(t, err)
		assert.JSONEq(t, string(page.Letters[0]), string(shown))
		dry, err := e.Order(t.Context(), partition.Drop, console.DeadLetterOrder{IDs: []string{letter.ID}, DryRun: true})
		require.NoError(t, err)
		assert.Equal(t, []string{letter.ID}, dry.IDs)

		done, err := e.Order(t.Context(), partition.Requeue, console.DeadLetterOrder{Query: query})
		require.NoError(t, err)
		assert.Equal(t, []string{letter.ID}, done.IDs)
		assert.EqualValues(t, 1, done.Events)
		_, err = e.DeadLetter(t.Context(), letter.ID)
		assert.ErrorIs(t, err, console.ErrNoDeadLetter)
	})
}

// New credentials are in force at once, and the answer names the services that changed.
func TestEngineApplies(t *testing.T) {
	engines(t, func(t *testing.T, w *world, e engine) {
		assert.Equal(t, []string{"1001"}, e.Apply(services1001("another")))
		assert.Empty(t, e.Apply(services1001("another")))
		_, err := e.Append(t.Context(), []event.Event{hits("app1", 1)})
		require.NoError(t, err)
		lanes, err := e.Flush(t.Context())
		require.NoError(t, err)
		require.Len(t, lanes, 1)
		assert.Equal(t, []string{"1001", "failed", "held"}, []string{lanes[0].ServiceID, lanes[0].Result, lanes[0].State})
		assert.EqualValues(t, 1, e.Pending())
		e.Apply(services1001("stoken1001"))
		require.Eventually(t, func() bool { return e.Pending() == 0 }, time.Minute, 10*time.Millisecond)
	})
}

// An authorization is answered from memory after the first question, by the fast path as well.
func TestEngineFastPath(t *testing.T) {
	engines(t, func(t *testing.T, w *world, e engine) {
		const path, query = "/transactions/authorize.xml", "service_token=stoken1001&service_id=1001&app_id=app1&app_key=key1"
		answer := httptest.NewRecorder()
		e.Authorizations(http.MethodGet, path).ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path+"?"+query, nil))
		require.Equal(t, http.StatusOK, answer.Code, answer.Body)
		line, ok := e.FastPath(nil, path, query, "")
		require.True(t, ok)
		assert.Contains(t, string(line), "HTTP/1.1 200 OK")
		assert.Nil(t, e.Authorizations(http.MethodGet, "/nosuch"))
	})
}

func mustFlush(t *testing.T, e engine) {
	t.Helper()
	_, err := e.Flush(t.Context())
	require.NoError(t, err)
}
