package test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// oneServer runs a NATS server with JetStream in this process, and returns its address.
func oneServer(t testing.TB) string {
	t.Helper()
	s, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: -1, NoSigs: true, NoLog: true, MaxPayload: 8 << 20, JetStream: true, StoreDir: t.TempDir(),
	})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	return "nats://" + s.Addr().String()
}

// clustered are the settings of a replica.
func clustered(t testing.TB, backendURL, natsURL string) settings {
	return newSettings(t, backendURL).set("spool.engine", "jetstream").set("nats.url", natsURL).set("cluster.replicas", 1).
		set("cluster.partitions", 3).set("cluster.pin_ttl", "2s").set("spool.max_bytes", "2GiB")
}

// TestReplicasKeepLimits: three replicas grant together what one limit allows, asked at all of them at once, and
// deliver it; what each shows of lanes and dead letters is everybody's, and the sums add up.
func TestReplicasKeepLimits(t *testing.T) {
	t.Parallel()
	b, bus := sandbox(t), oneServer(t)
	var all []*daemon
	for range 3 {
		all = append(all, launch(t, clustered(t, b.url, bus).set("authorize.ttl", "300ms").set("batch.flush_interval", "50ms").set("sender.negative_cache", "0s").write(t)))
	}
	for _, d := range all {
		d.ready()
	}
	b.limited("shared", limit{"hits", "eternity", 1000})
	var h hammered
	var calling sync.WaitGroup
	for _, d := range all {
		calling.Go(func() { h.hammer(d, "shared", "search") })
	}
	calling.Wait()
	assert.EqualValues(t, 1000, h.granted.Load())
	assert.Zero(t, h.unanswered.Load())

	nobody := hit("1001", "nobody")
	all[0].send(hit("1001", "bulk1"), hit("1003", "appoauth"), hit("1004", "bulk1"), nobody)
	dead := func(d *daemon) int {
		got := read[struct{ DeadLetters []struct{ ID string } }](t, mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/deadletters", nil))
		return len(got.DeadLetters)
	}
	var sum status
	eventually(t, 30*time.Second, "all is delivered, or dead", func() bool {
		sum = all[1].status()
		return sum.Events.Accepted == 1004 && sum.Events.Delivered+sum.Events.Dead == 1004 && dead(all[2]) > 0 // not while a partition has no owner
	})
	assert.EqualValues(t, 1000, b.usage()["1001"]["shared"]["hits"])
	for _, d := range all {
		assert.Equal(t, dead(all[0]), dead(d), "dead letters are everybody's")
		assert.NotEmpty(t, d.status().Lanes)
	}
	all[0].stop()
	eventually(t, 10*time.Second, "the others own what it gave back", func() bool {
		got, err := call(testClient, http.MethodGet, all[1].admin+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	})
	all[1].send(hit("1001", "bulk1"), hit("1003", "appoauth"))
}
