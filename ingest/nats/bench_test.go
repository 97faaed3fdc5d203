package nats_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/ingest"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/reporterd/reporterd/spool"
	"github.com/stretchr/testify/require"
)

// bench is a server, a spool on a real disk and a publisher, all in this process.
type bench struct {
	*testing.B
	url    string
	client *nats.Conn
	spool  *spool.Spool
}

func newBench(b *testing.B, lazy bool) *bench {
	server, err := embedded.Start(b.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: b.TempDir(), Lazy: lazy})
	require.NoError(b, err)
	b.Cleanup(func() { _ = server.Stop(context.Background()) })
	s, _, err := spool.Open(spool.Options{Dir: b.TempDir(), MaxBytes: 4 << 30, DedupeWindow: 10 * time.Minute, MaxIDs: 50_000_000})
	require.NoError(b, err)
	b.Cleanup(func() { _ = s.Close() })
	client, err := nats.Connect("nats://" + server.Address())
	require.NoError(b, err)
	b.Cleanup(client.Close)
	return &bench{B: b, url: "nats://" + server.Address(), client: client, spool: s}
}

// open opens the bridge that is measured.
func (b *bench) open(stream string) *ingestnats.Bridge {
	h := ingest.NewHandler(ingest.Options{Services: []ingest.Service{{ID: "1001"}}, Journal: b.spool})
	m, err := ingestnats.Open(ingestnats.Options{URL: b.url, Subject: "usage.>", Stream: stream, Durable: "reporterd", Handler: h})
	require.NoError(b, err)
	b.Cleanup(func() { _ = m.Stop(context.Background()) })
	require.Eventually(b, func() bool { return m.Health() == nil }, 10*time.Second, time.Millisecond)
	return m
}

// payload is a message of so many events, as producers send them.
func payload(events int) []byte {
	const event = `{"app_id":"app%d","usage":{"hits":1,"transfer":512},"response_code":200}`
	if events == 1 {
		return fmt.Appendf(nil, event, 1)
	}
	all := make([]string, events)
	for i := range all {
		all[i] = fmt.Sprintf(event, i)
	}
	return []byte("[" + strings.Join(all, ",") + "]")
}

// rates are reported once everything has arrived.
func (b *bench) rates(begun time.Time, events int) {
	seconds := time.Since(begun).Seconds()
	b.ReportMetric(float64(b.N)/seconds, "msgs/s")
	b.ReportMetric(float64(b.N*events)/seconds, "events/s")
	b.ReportMetric(0, "ns/op")
}

// ahead is how far a publisher of plain messages may be ahead, in bytes: from 64 MiB on the server drops a subscriber.
const ahead = 8 << 20

// publish sends b.N plain messages, and returns once all have arrived.
func (b *bench) publish(body []byte, arrived func() int) {
	for i := range b.N {
		require.NoError(b, b.client.Publish("usage.1001", body))
		if i%100 == 0 {
			b.until(func() bool { return (i-arrived())*len(body) < ahead })
		}
	}
	require.NoError(b, b.client.Flush())
	b.until(func() bool { return arrived() >= b.N })
}

func (b *bench) until(condition func() bool) {
	for begun := time.Now(); !condition(); {
		if time.Since(begun) > time.Minute {
			b.Fatal("messages are missing")
		}
		<-time.After(time.Millisecond)
	}
}

// BenchmarkPublish: plain publishes of one event, durable, beside a subscriber that only counts.
func BenchmarkPublish(b *testing.B) {
	for _, events := range []int{1, 100} {
		b.Run(fmt.Sprintf("%d/bare", events), func(b *testing.B) {
			r := newBench(b, true)
			var arrived atomic.Int64
			other, err := nats.Connect(r.url)
			require.NoError(b, err)
			defer other.Close()
			sub, err := other.Subscribe("usage.>", func(*nats.Msg) { arrived.Add(1) })
			require.NoError(b, err)
			require.NoError(b, sub.SetPendingLimits(-1, -1))
			require.NoError(b, other.Flush())
			begun := time.Now()
			r.publish(payload(events), func() int { return int(arrived.Load()) })
			r.rates(begun, events)
		})
		b.Run(fmt.Sprintf("%d/reporterd", events), func(b *testing.B) {
			r := newBench(b, true)
			r.open("")
			begun := time.Now()
			r.publish(payload(events), func() int { return int(r.spool.Counts().Accepted) / events })
			r.rates(begun, events)
		})
	}
}

// BenchmarkStream: messages published to a stream and acknowledged by it, and consumed here until they are
// durable and acknowledged, at the same time; beside publishing alone.
func BenchmarkStream(b *testing.B) {
	for _, lazy := range []bool{true, false} {
		mode := map[bool]string{true: "sync_interval=2m", false: "sync_interval=always"}[lazy]
		for _, events := range []int{1, 100} {
			b.Run(fmt.Sprintf("%s/%d/bare", mode, events), func(b *testing.B) {
				r := newBench(b, lazy)
				js, err := jetstream.New(r.client, jetstream.WithPublishAsyncMaxPending(4000))
				require.NoError(b, err)
				_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}})
				require.NoError(b, err)
				begun := time.Now()
				r.stream(js, payload(events))
				r.rates(begun, events)
			})
			b.Run(fmt.Sprintf("%s/%d/reporterd", mode, events), func(b *testing.B) {
				r := newBench(b, lazy)
				m := r.open("USAGE")
				js, err := jetstream.New(r.client, jetstream.WithPublishAsyncMaxPending(4000))
				require.NoError(b, err)
				begun := time.Now()
				r.stream(js, payload(events))
				r.until(func() bool { return m.Stats().Stream.Acknowledged >= uint64(b.N) })
				r.rates(begun, events)
				require.Equal(b, uint64(b.N*events), r.spool.Counts().Accepted)
			})
		}
	}
}

// stream publishes b.N messages and returns once the stream has them.
func (b *bench) stream(js jetstream.JetStream, body []byte) {
	for range b.N {
		_, err := js.PublishAsync("usage.1001", body, jetstream.WithStallWait(time.Minute))
		require.NoError(b, err)
	}
	select {
	case <-js.PublishAsyncComplete():
	case <-time.After(time.Minute):
		b.Fatal("the stream does not answer")
	}
}
