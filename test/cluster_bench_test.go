package test

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"
)

// BenchmarkCluster prints what one replica takes in over HTTP, 100 events a request, with every event acknowledged
// by a stream with three copies, beside what a publisher of the same bodies gets acknowledged by the same servers.
// All of it runs on the same processors: three NATS servers, replica, backend and load.
func BenchmarkCluster(b *testing.B) {
	linuxOnly(b)
	for b.Loop() {
		const perRequest = 100
		c := newNATSCluster(b)
		d := serve(b, newSettings(b, sandbox(b).url).set("spool.engine", "jetstream").set("nats.url", c.urls(0)).
			set("cluster.partitions", 4).set("spool.max_bytes", "2GiB").set("batch.flush_interval", "5s"))
		requests := rawEvents(512, perRequest, smallEvent)
		l := load{d.await("traffic"), benchConnections, requests, perRequest}
		var ours, bare []float64
		for n := range benchRounds + 1 {
			published := publishBare(b, c, requests[n], benchRound)
			ctx, cancel := context.WithTimeout(b.Context(), benchRound)
			m, err := l.run(ctx)
			cancel()
			require.NoError(b, err)
			if n > 0 { // the first is to warm up
				ours, bare = append(ours, m.perSecond()), append(bare, published)
			}
		}
		fmt.Fprintf(os.Stderr, "\n%s\n%d events a request, three copies, %d rounds of %v\n%-14s %12.0f requests/s %12.0f events/s\n%-14s %12.0f messages/s\n",
			machine(), perRequest, benchRounds, benchRound, "reporterd", median(ours), median(ours)*perRequest, "bare publish", median(bare))
		b.ReportMetric(median(ours)*perRequest, "events/s")
		b.ReportMetric(median(ours)/median(bare), "of-bare")
		b.ReportMetric(0, "ns/op")
		d.status() // the figures still add up
		d.kill()
	}
}

// publishBare publishes a request's body again and again, as many at once as the load has connections, and returns
// how many a second a stream with three copies acknowledged.
func publishBare(b *testing.B, c *natsCluster, body []byte, d time.Duration) float64 {
	conn, err := nats.Connect(c.urls(0))
	require.NoError(b, err)
	defer conn.Close()
	js, err := jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(benchConnections))
	require.NoError(b, err)
	_, err = js.CreateOrUpdateStream(b.Context(), jetstream.StreamConfig{Name: "BARE", Subjects: []string{"bare"}, Replicas: natsServers, MaxMsgs: 10_000})
	require.NoError(b, err)
	begun, sent := time.Now(), 0
	for time.Since(begun) < d {
		_, err := js.PublishAsync("bare", body)
		require.NoError(b, err)
		sent++
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(10 * time.Second):
		b.Fatal("the servers do not acknowledge")
	}
	return float64(sent) / time.Since(begun).Seconds()
}
