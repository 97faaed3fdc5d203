package ledger

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/ingest/nats/embedded"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// BenchmarkCopy is what a ledger of 50,000 applications over three days costs a partition in a stream on this machine: the first copy, one
// after a batch of 1000 applications, the takeover of the disk with the copy on it, and reading the copy.
func BenchmarkCopy(b *testing.B) {
	s, err := embedded.Start(b.Context(), embedded.Options{Address: "127.0.0.1:0", StoreDir: b.TempDir(), Lazy: true})
	require.NoError(b, err)
	b.Cleanup(func() { _ = s.Stop(context.Background()) })
	conn, err := nats.Connect("nats://" + s.Address())
	require.NoError(b, err)
	b.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(b, err)
	_, err = js.CreateStream(b.Context(), jetstream.StreamConfig{Name: "R", Subjects: []string{"r.>"}, Discard: jetstream.DiscardNew})
	require.NoError(b, err)
	open := func() *jetdisk.Disk {
		d, err := jetdisk.Open(b.Context(), jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0"})
		require.NoError(b, err)
		b.Cleanup(d.Close)
		return d
	}
	d := open()
	l, err := Restore(b.Context(), Options{Dir: b.TempDir(), Keep: 1e6 * time.Hour, Copy: d})
	require.NoError(b, err)
	b.Cleanup(func() { _ = l.Close() })
	next := uint64(1)
	book := func(day, first, apps int) {
		batch := &spool.Batch{ID: spool.BatchID{Position: spool.Position(next)}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: time.Unix(int64(day)*86400, 0)}
		for app := range apps {
			for hour := range 4 {
				batch.Transactions = append(batch.Transactions, spool.Transaction{Events: 1, Transaction: threescale.Transaction{
					Application: threescale.Application{ID: fmt.Sprintf("application-%08d", first+app)}, Timestamp: int64(day)*86400 + int64(hour)*3600,
					Usage: threescale.Usage{{Metric: "hits", Value: 7}, {Metric: "bytes", Value: 12345}},
				}})
			}
		}
		next++
		r := run{Ledger: l, next: next, gathered: []spool.BatchEvent{{Kind: spool.BatchSealed, Batch: batch}, {Kind: spool.BatchEnded, Batch: batch}}}
		require.NoError(b, r.commit(b.Context()))
	}
	for day := range 3 {
		for first := 0; first < 50_000; first += 10_000 {
			book(20_000+day, first, 10_000)
		}
	}
	took := func(what string, f func()) {
		begun := time.Now()
		f()
		b.ReportMetric(float64(time.Since(begun).Microseconds())/1000, what+"-ms")
	}
	for b.Loop() {
		took("first", func() { require.NoError(b, l.copy.write(b.Context(), l)) })
		book(20_002, 10_000, 1000)
		files := l.copy.last
		took("next", func() { require.NoError(b, l.copy.write(b.Context(), l)) })
		b.ReportMetric(float64(l.copy.last-files), "files")
		took("takeover", func() { d = open() })
		took("restore", func() {
			c, err := openCopy(d)
			require.NoError(b, err)
			require.NoError(b, c.restore(b.Context(), b.TempDir()+"/ledger.db"))
		})
		b.ReportMetric(float64(l.copy.size)/(1<<20), "MiB")
	}
}
