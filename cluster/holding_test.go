package cluster

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
)

// replica starts one that calls open for the only partition.
func replica(t *testing.T, address string, open func(context.Context, *jetdisk.Disk) error) *Node {
	t.Helper()
	conn, err := nats.Connect("nats://" + address)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	n, err := Start(t.Context(), Options{
		Conn: conn, Prefix: "c", Partitions: 1, Replicas: 1, PinTTL: 400 * time.Millisecond,
		Open: func(ctx context.Context, _ int, d *jetdisk.Disk) (Member, error) {
			return Member{Stop: func(context.Context, bool) {}}, open(ctx, d)
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { n.Stop(context.Background()) })
	return n
}

// TestLongTakeover: reading a full spool takes longer than a partition waits for an owner that does not answer. No other
// replica begins in the meantime, and the partition is owned in the end.
func TestLongTakeover(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: t.TempDir(), Lazy: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	var begun, done atomic.Int32
	slowly := func(ctx context.Context, d *jetdisk.Disk) error {
		begun.Add(1)
		select {
		case <-time.After(2 * time.Second): // five times PinTTL
		case <-ctx.Done():
			return ctx.Err()
		}
		done.Add(1)
		return d.Dead()
	}
	nodes := []*Node{replica(t, server.Address(), slowly), replica(t, server.Address(), slowly)}
	owned := func() (owners int) {
		for _, n := range nodes {
			n.mu.Lock()
			owners += len(n.held)
			n.mu.Unlock()
		}
		return owners
	}
	require.Eventually(t, func() bool { return owned() == 1 }, 20*time.Second, 10*time.Millisecond)
	assert.EqualValues(t, 1, begun.Load(), "one takeover")
	assert.EqualValues(t, 1, done.Load())
	require.Never(t, func() bool { return owned() != 1 }, 1500*time.Millisecond, 10*time.Millisecond, "it stays")
	assert.EqualValues(t, 1, begun.Load(), "no replica takes it from its owner")
}
