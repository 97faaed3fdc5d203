package test

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// streamKillsVariable says how often TestStreamKilled kills the daemon.
const streamKillsVariable = "REPORTERD_STREAM_KILLS"

// TestStreamKilled: a daemon that consumes a stream is killed under load, and is away for longer than dedupe.window and ack_wait, again
// and again. What was published is counted once: no message has an id, and what was in flight is delivered again.
func TestStreamKilled(t *testing.T) {
	t.Parallel()
	kills := 1
	if n, err := strconv.Atoi(os.Getenv(streamKillsVariable)); err == nil {
		kills = n
	}
	b, url := sandbox(t), oneServer(t)
	conn, err := nats.Connect(url)
	require.NoError(t, err)
	defer conn.Close()
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}, Retention: jetstream.WorkQueuePolicy})
	require.NoError(t, err)
	consumer, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable: "reporterd", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 3 * time.Second, FilterSubject: "usage.>",
	})
	require.NoError(t, err)
	config := newSettings(t, b.url).set("nats.url", url).set("nats.stream", "USAGE").set("dedupe.window", "1s").write(t)

	var published atomic.Uint64
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { // ends with ctx
		defer close(ended)
		message := []byte("[" + strings.Repeat(`{"app_id":"app1","usage":{"hits":1}},`, 19) + `{"app_id":"app1","usage":{"hits":1}}]`)
		for ctx.Err() == nil {
			if _, err := js.Publish(t.Context(), "usage.1001", message); assert.NoError(t, err) {
				published.Add(20)
			}
		}
	}()
	d := launch(t, config)
	for range kills {
		d.ready()
		before := d.status().Events.Accepted
		eventually(t, 30*time.Second, "it consumes", func() bool { return d.status().Events.Accepted > before })
		d.kill()
		pause(t.Context(), 4*time.Second)
		d = launch(t, config)
	}
	d.ready()
	cancel()
	<-ended
	eventually(t, 60*time.Second, "the stream is empty", func() bool {
		info, err := consumer.Info(t.Context())
		return err == nil && info.NumPending == 0 && info.NumAckPending == 0
	})
	info, err := consumer.Info(t.Context())
	require.NoError(t, err)
	assert.Equal(t, published.Load(), d.status().Events.Accepted, "delivered %d times in all", info.Delivered.Consumer)
	t.Logf("%d events published, %d killed, %d deliveries of %d messages", published.Load(), kills, info.Delivered.Consumer, info.Delivered.Stream)
}
