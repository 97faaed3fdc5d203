package replica

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// TestLedgerMovesOverJetStream: the next owner of a partition has the ledger of the one before, from the copy in the stream and from the log
// behind it; the copy's files of blocks are sealed, so that a takeover does not read them.
func TestLedgerMovesOverJetStream(t *testing.T) {
	t.Parallel()
	s, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: t.TempDir(), Lazy: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Stop(context.Background()) })
	conn, err := nats.Connect("nats://" + s.Address())
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "R", Subjects: []string{"r.>"}, Discard: jetstream.DiscardNew})
	require.NoError(t, err)
	sum := int64(0)
	for owner := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		d, err := jetdisk.Open(ctx, jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0"})
		require.NoError(t, err)
		kept, _, err := spool.Open(spool.Options{Dir: "/spool", FS: d, KeepChanges: true, SegmentBytes: 64 << 10})
		require.NoError(t, err)
		l, err := ledger.Restore(ctx, ledger.Options{Dir: t.TempDir(), Keep: 240 * time.Hour, Copy: d})
		require.NoError(t, err)
		require.NoError(t, l.Anchor(kept))
		done := make(chan struct{})
		go func() { // ends with ctx
			defer close(done)
			l.Run(ctx, kept)
		}()
		booked := func() (delivered int64) {
			require.NoError(t, l.Rows(ledger.Query{AllApplications: true}, func(r *ledger.Row) error { delivered += r.Delivered; return nil }))
			return delivered
		}
		require.Eventually(t, func() bool { return booked() == sum }, 10*time.Second, 10*time.Millisecond, "owner %d has what the one before had", owner)
		for n := range 3 {
			sum += deliver(t, kept, owner*10+n)
		}
		require.Eventually(t, func() bool { return booked() == sum }, 10*time.Second, 10*time.Millisecond)
		if owner == 0 { // the first copy is made at once, later ones after a pause
			require.Eventually(t, func() bool {
				files, err := d.ReadDir("/ledger")
				return err == nil && len(files) > 1
			}, 10*time.Second, 10*time.Millisecond, "there is a copy")
		}
		assert.False(t, l.Stats().Missed)
		cancel()
		<-done
		require.NoError(t, l.Close())
		d.Close() // as a kill leaves it
	}
}

// deliver accepts, seals and delivers a batch of a hundred applications, and returns its usage.
func deliver(t *testing.T, s *spool.Spool, n int) int64 {
	t.Helper()
	b := &spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}}
	r := spool.Resolution{At: time.Now()}
	var events []event.Event
	for app := range 100 {
		e := event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: fmt.Sprintf("app %d of %d", app, n)}, Timestamp: time.Now().Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 3}},
		}}
		events = append(events, e)
		b.Transactions = append(b.Transactions, spool.Transaction{Transaction: e.Transaction, Events: 1})
		r.Delivered = append(r.Delivered, app)
	}
	_, err := s.Append(t.Context(), events)
	require.NoError(t, err)
	cut, err := s.BeginCut(s.Committed() + spool.Position(len(events)))
	require.NoError(t, err)
	require.NoError(t, cut.Add(b))
	require.NoError(t, cut.Commit(0))
	require.NoError(t, s.Resolve(b.ID, r))
	return 300
}
