package test

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestServersStopDuringTakeover: two of three NATS servers stop while a replica reads a partition that it takes over, and come back
// after 6 s. What cannot be read meanwhile is no damage: the partition has an owner again, and all that was acknowledged is in it.
func TestServersStopDuringTakeover(t *testing.T) {
	t.Parallel()
	const requests, perRequest = 40, 1000
	c := newNATSCluster(t)
	s := clustered(t, "http://127.0.0.1:1", c.urls(0)).set("cluster.replicas", natsServers).set("cluster.partitions", 1)
	owner := serve(t, s)
	for r := range requests {
		owner.sendMany(perRequest, func(i int) string {
			return fmt.Sprintf(`{"service_id":"1001","app_id":"a%d","id":"%d-%d","usage":{"hits":1}}`, i, r, i)
		})
	}
	for _, delay := range []time.Duration{0, 100 * time.Millisecond, 400 * time.Millisecond} {
		next := launch(t, s.set("data_dir", t.TempDir()).write(t))
		next.await("admin")
		began := directoryOf(t, c, 0)
		owner.kill()
		<-began // the first message of the takeover
		pause(t.Context(), delay)
		c.stop(1)
		c.stop(2)
		pause(t.Context(), 6*time.Second)
		c.start(1)
		c.start(2)
		next.readyWithin(joinBound)
		events := next.status().Events
		assert.Zero(t, events.Lost, "%v into the takeover", delay)
		assert.EqualValues(t, requests*perRequest, events.Pending, "%v into the takeover", delay)
		owner = next
		c.led()
	}
}

// directoryOf returns a channel that receives once a message is published to the directory of a partition's disk, from now on.
func directoryOf(t *testing.T, c *natsCluster, partition int) <-chan *nats.Msg {
	t.Helper()
	conn, err := nats.Connect(c.urls(0), nats.MaxReconnects(-1))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	published := make(chan *nats.Msg, 1<<10)
	_, err = conn.ChanSubscribe(fmt.Sprintf("reporterd.disk.%d.names", partition), published)
	require.NoError(t, err)
	require.NoError(t, conn.Flush())
	return published
}
