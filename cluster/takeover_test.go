package cluster

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
)

// fill writes to partition 0's disk, in small messages, until reading it all takes a while, and returns how long.
func fill(t *testing.T, address string, messages int) time.Duration {
	t.Helper()
	idle := replica(t, address, func(context.Context, *jetdisk.Disk) error { return errors.New("not now") }) // makes the stream
	idle.Stop(t.Context())
	o := jetdisk.Options{JetStream: idle.js, Stream: "c", Prefix: "c.disk.0"}
	d, err := jetdisk.Open(t.Context(), o)
	require.NoError(t, err)
	f, err := d.OpenFile("/spool/1", os.O_RDWR|os.O_CREATE, 0o600)
	require.NoError(t, err)
	for i := range messages {
		_, err := f.WriteAt([]byte("a record"), int64(8*i))
		require.NoError(t, err)
		require.NoError(t, f.Sync())
	}
	d.Close()
	begun := time.Now()
	again, err := jetdisk.Open(t.Context(), o)
	require.NoError(t, err)
	again.Close()
	return time.Since(begun)
}

// TestLongReading: reading a partition's disk takes several times as long as a partition waits for an owner who does
// not answer. No other replica begins in the meantime.
func TestLongReading(t *testing.T) {
	t.Parallel()
	server, err := embedded.Start(t.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: t.TempDir(), Lazy: true})
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Stop(context.Background()) })
	const messages = 5_000
	t.Logf("read once: %v", fill(t, server.Address(), messages))
	var read atomic.Int32
	size := func(_ context.Context, d *jetdisk.Disk) error {
		read.Add(1)
		f, err := d.OpenFile("/spool/1", os.O_RDONLY, 0)
		if err != nil {
			return err
		}
		// What the spool reads again, message by message.
		for i := range messages {
			if _, err := f.ReadAt(make([]byte, 8), int64(8*i)); err != nil {
				return err
			}
		}
		return d.Dead()
	}
	nodes := []*Node{replica(t, server.Address(), size), replica(t, server.Address(), size)}
	owned := func() (owners int) {
		for _, n := range nodes {
			n.mu.Lock()
			owners += len(n.held)
			n.mu.Unlock()
		}
		return owners
	}
	require.Eventually(t, func() bool { return owned() == 1 }, 30*time.Second, 10*time.Millisecond)
	assert.EqualValues(t, 1, read.Load(), "one takeover")
}

// progress is a token that counts how often it is said to be in progress.
type progress struct {
	jetstream.Msg
	said atomic.Int32
}

func (p *progress) InProgress() error { p.said.Add(1); return nil }

// TestTakeoverLastsWhileSomethingComes: for hours, if need be, and no longer than 20 s beyond that.
func TestTakeoverLastsWhileSomethingComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		n := &Node{o: Options{PinTTL: 10 * time.Second}, log: zap.New(core)}
		n.ctx, n.end = context.WithCancel(t.Context())
		token := &progress{}
		take := n.begin(3, token, n.o.PinTTL)
		for range 3600 {
			<-time.After(4 * time.Second)
			take.reading()
		}
		require.NoError(t, take.ctx.Err(), "after four hours")
		assert.Zero(t, logs.Len())
		assert.InDelta(t, 4*3600/2.5, token.said.Load(), 2, "four times in each pin_ttl")
		<-time.After(12 * time.Second)
		require.NoError(t, take.ctx.Err())
		assert.Equal(t, 1, logs.FilterMessage("no data arrives from the disk of a partition that is being taken over").Len(), "said, and once")
		assert.Equal(t, 1, logs.Len())
		<-time.After(15 * time.Second)
		require.ErrorIs(t, context.Cause(take.ctx), errNoData)
		require.EqualError(t, take.failure(errors.New("read")), "no data arrived from its disk for 20s: read")
		n.work.Wait()
	})
}
