package sender

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk"
	"github.com/reporterd/reporterd/threescale"
)

// world is a Sender between a real spool and a stand-in backend.
type world struct {
	t       *testing.T
	spool   *spool.Spool
	backend *backend
	sender  *Sender
	log     *observer.ObservedLogs
	stop    func() // ends Run and waits for it

	mu     sync.Mutex // guards tokens
	tokens map[string]string
}

// inWorld runs a test in a synctest bubble, with services 1, 2 and 3 configured and a Sender running.
func inWorld(t *testing.T, o Options, test func(*world)) {
	onDisk(t, nil, o, test)
}

func onDisk(t *testing.T, fs disk.FS, o Options, test func(*world)) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, backend: &backend{counted: map[string]uint64{}}, tokens: map[string]string{"1": "t1", "2": "t2", "3": "t3"}}
		var err error
		w.spool, _, err = spool.Open(spool.Options{Dir: dir, FS: fs, SegmentBytes: 1 << 20})
		require.NoError(t, err)
		core, logs := observer.New(zap.InfoLevel)
		w.log = logs
		client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend.example", Transport: w.backend, Timeout: 10 * time.Second})
		require.NoError(t, err)
		o.Spool, o.Client, o.Credentials, o.Log = w.spool, client, w.credentials, zap.New(core)
		w.sender = New(o)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- w.sender.Run(ctx) }()
		w.stop = sync.OnceFunc(func() {
			cancel()
			assert.NoError(t, <-ended)
		})
		test(w)
		w.stop()
		w.balance()
		require.NoError(t, w.spool.Close())
	})
}

func (w *world) credentials(serviceID string) (threescale.Credentials, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	token, ok := w.tokens[serviceID]
	return threescale.Credentials{ServiceToken: token}, ok
}

func (w *world) configure(serviceID, token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tokens[serviceID] = token
}

// balance asserts that every accepted event is somewhere.
func (w *world) balance() {
	c := w.spool.Counts()
	assert.Equal(w.t, c.Accepted, c.Delivered+c.Dead+c.Pending+c.Lost, "%+v", c)
}

// apps names n applications.
func apps(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("app%d", i)
	}
	return names
}

// hit is one event's transaction: one hit of an application.
func hit(app string, at time.Time) spool.Transaction {
	return spool.Transaction{Transaction: threescale.Transaction{
		Application: threescale.Application{ID: app},
		Usage:       threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: at.Unix(),
	}, Events: 1}
}

// seal accepts an event of one hit for each application, now, and cuts them into one batch.
func (w *world) seal(serviceID string, names ...string) {
	w.t.Helper()
	hits := make([]spool.Transaction, len(names))
	for i, name := range names {
		hits[i] = hit(name, time.Now())
	}
	w.sealAll(serviceID, hits...)
}

// sealAll accepts an event for each transaction, and cuts them into one batch.
func (w *world) sealAll(serviceID string, hits ...spool.Transaction) {
	w.t.Helper()
	events := make([]event.Event, len(hits))
	for i := range hits {
		events[i] = event.Event{ServiceID: serviceID, Transaction: hits[i].Transaction}
	}
	_, err := w.spool.Append(w.t.Context(), events)
	require.NoError(w.t, err)
	cut, err := w.spool.BeginCut(spool.Position(w.spool.Counts().Accepted))
	require.NoError(w.t, err)
	require.NoError(w.t, cut.Add(&spool.Batch{Lane: spool.LaneKey{ServiceID: serviceID}, Transactions: hits}))
	require.NoError(w.t, cut.Commit(0))
}

// wait lets time pass, and everything settle.
func (w *world) wait(d time.Duration) {
	if d > 0 {
		<-time.After(d)
	}
	synctest.Wait()
}

// lane returns the status of a service's lane.
func (w *world) lane(serviceID string) LaneStatus {
	w.t.Helper()
	for _, l := range w.sender.Lanes(1000) {
		if l.ServiceID == serviceID {
			return l
		}
	}
	require.Fail(w.t, "no lane for service "+serviceID)
	return LaneStatus{}
}

// dead returns all dead letters.
func (w *world) dead() []spool.DeadLetter {
	w.t.Helper()
	page, next, err := w.spool.DeadLetters(spool.DeadLetterQuery{Limit: 1000})
	require.NoError(w.t, err)
	require.Empty(w.t, next)
	return page
}
