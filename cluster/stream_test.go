package cluster

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
)

// natsServer runs a NATS server with JetStream and returns its address.
func natsServer(t *testing.T, maxPayload int32) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, JetStream: true, StoreDir: t.TempDir(), NoSigs: true, MaxPayload: maxPayload,
	})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	return s.ClientURL()
}

// joined starts a replica; its members do nothing, and taken counts them.
func joined(t *testing.T, address string, o Options, taken *atomic.Int32) (*Node, error) {
	t.Helper()
	conn, err := nats.Connect(address)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	o.Conn, o.Prefix, o.Replicas = conn, "c", 1
	o.Partitions = max(o.Partitions, 1)
	if o.PinTTL == 0 {
		o.PinTTL = time.Second
	}
	if o.Open == nil {
		o.Open = func(context.Context, int, *jetdisk.Disk) (Member, error) {
			taken.Add(1)
			return Member{Stop: func(context.Context, bool) {}}, nil
		}
	}
	n, err := Start(t.Context(), o)
	if err == nil {
		t.Cleanup(func() { n.Stop(context.Background()) })
	}
	return n, err
}

// TestPinTTLRaised: replicas with a longer cluster.pin_ttl than that of the existing partitions keep what they own, beside replicas with
// the shorter one, too.
func TestPinTTLRaised(t *testing.T) {
	t.Parallel()
	address, taken := natsServer(t, 0), new(atomic.Int32)
	first, err := joined(t, address, Options{Partitions: 3, PinTTL: 400 * time.Millisecond}, taken)
	require.NoError(t, err)
	first.Stop(t.Context())
	taken.Store(0)
	var nodes []*Node
	for _, ttl := range []time.Duration{20 * time.Second, 400 * time.Millisecond} {
		n, err := joined(t, address, Options{Partitions: 3, PinTTL: ttl}, taken)
		require.NoError(t, err)
		nodes = append(nodes, n)
	}
	owned := func() bool {
		a, b := nodes[0].Stats().Owned, nodes[1].Stats().Owned
		return a+b == 3 && a > 0 && b > 0
	}
	require.Eventually(t, owned, 30*time.Second, 10*time.Millisecond)
	before := taken.Load()
	<-time.After(4 * time.Second)
	assert.Equal(t, before, taken.Load(), "takeovers while every replica works")
	assert.True(t, owned())
	consumer, err := nodes[0].stream.Consumer(t.Context(), "owner-0")
	require.NoError(t, err)
	assert.Equal(t, 20*time.Second, consumer.CachedInfo().Config.AckWait)
}

// TestStreamLimitRaised: spool.max_bytes is raised in the configuration, and so is the limit of the existing stream; a replica that
// joins with a lower one does not lower it.
func TestStreamLimitRaised(t *testing.T) {
	address := natsServer(t, 0)
	for _, step := range []struct{ wants, has int64 }{{1 << 20, 1 << 20}, {64 << 20, 64 << 20}, {1 << 20, 64 << 20}, {0, -1}, {1 << 20, -1}} {
		n, err := joined(t, address, Options{MaxBytes: step.wants}, new(atomic.Int32))
		require.NoError(t, err)
		n.Stop(t.Context())
		info, err := n.stream.Info(t.Context())
		require.NoError(t, err)
		assert.Equal(t, step.has, info.Config.MaxBytes, "spool.max_bytes %d", step.wants)
	}
}

// TestStreamsThatDoNotFit: what cannot be changed safely is refused, with the command to run.
func TestStreamsThatDoNotFit(t *testing.T) {
	address := natsServer(t, 0)
	n, err := joined(t, address, Options{}, new(atomic.Int32))
	require.NoError(t, err)
	n.Stop(t.Context())
	fine := n.stream.CachedInfo().Config
	for want, change := range map[string]func(*jetstream.StreamConfig){
		"max_age is 1h0m0s: expected none: run: nats stream edit c --max-age=0s": func(c *jetstream.StreamConfig) { c.MaxAge = time.Hour },
		"run: nats stream edit c --max-msgs=-1":                                  func(c *jetstream.StreamConfig) { c.MaxMsgs = 1_000_000 },
		"run: nats stream edit c --discard=new":                                  func(c *jetstream.StreamConfig) { c.Discard = jetstream.DiscardOld },
		"run: nats stream edit c --max-msg-size=-1":                              func(c *jetstream.StreamConfig) { c.MaxMsgSize = 1000 },
		"run: nats stream edit c --dupe-window=2m":                               func(c *jetstream.StreamConfig) { c.Duplicates = time.Second },
		"cluster.partitions of the stream is 9: expected 1: the number is fixed once the stream is made: set cluster.partitions to 9": func(c *jetstream.StreamConfig) {
			c.Metadata = map[string]string{partitionsKey: "9"}
		},
	} {
		config := fine
		change(&config)
		_, err := n.js.UpdateStream(t.Context(), config)
		require.NoError(t, err, want)
		_, err = joined(t, address, Options{}, new(atomic.Int32))
		require.ErrorIs(t, err, ErrUnfit)
		require.ErrorContains(t, err, want)
	}
	_, err = n.js.UpdateStream(t.Context(), fine)
	require.NoError(t, err)
	consumer, err := n.stream.Consumer(t.Context(), "owner-0")
	require.NoError(t, err)
	config := consumer.CachedInfo().Config
	config.MaxAckPending = 10
	_, err = n.stream.UpdateConsumer(t.Context(), config)
	require.NoError(t, err)
	_, err = joined(t, address, Options{}, new(atomic.Int32))
	require.ErrorContains(t, err, "run: nats consumer rm c owner-0")

	_, err = joined(t, natsServer(t, 10_000), Options{}, new(atomic.Int32))
	require.ErrorContains(t, err, "max_payload of the NATS servers is 10000")
	require.ErrorIs(t, err, ErrUnfit)
}
