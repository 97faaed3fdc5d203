package jetdisk_test

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/cluster/jetdisk"
)

// BenchmarkTakeover opens a disk that another process has written, and reads all of it again as a spool does; the
// baseline, in the same run, is a consumer that looks at nothing.
//
//	go test -run '^$' -bench BenchmarkTakeover -benchtime 1x ./jetdisk
func BenchmarkTakeover(b *testing.B) {
	for _, of := range []struct{ messages, size int }{{50_000, 500}, {10_000, 10_000}, {400, 500_000}} {
		b.Run(fmt.Sprintf("%d_messages_of_%d_B", of.messages, of.size), func(b *testing.B) {
			js := connect(b)
			o := jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0"}
			d, err := jetdisk.Open(b.Context(), o)
			require.NoError(b, err)
			f, err := d.OpenFile("/spool/1", os.O_RDWR|os.O_CREATE, 0o600)
			require.NoError(b, err)
			p := make([]byte, of.size)
			for i := range of.messages {
				_, err := f.WriteAt(p, int64(i*of.size))
				require.NoError(b, err)
				require.NoError(b, f.Sync())
			}
			d.Close()
			for b.Loop() {
				bare := bareRead(b, js, of.messages)
				begun := time.Now()
				d, err := jetdisk.Open(b.Context(), o)
				require.NoError(b, err)
				opened := time.Since(begun)
				f, err := d.OpenFile("/spool/1", os.O_RDONLY, 0)
				require.NoError(b, err)
				begun = time.Now()
				piece := make([]byte, 64<<10)
				for off := 0; off < of.messages*of.size; off += len(piece) {
					_, _ = f.ReadAt(piece, int64(off))
				}
				read := time.Since(begun)
				d.Close()
				mb := float64(of.messages*of.size) / 1e6
				b.ReportMetric(mb/bare.Seconds(), "bare-MB/s")
				b.ReportMetric(mb/opened.Seconds(), "open-MB/s")
				b.ReportMetric(mb/read.Seconds(), "reread-MB/s")
				b.ReportMetric(bare.Seconds()/opened.Seconds(), "of-bare")
				b.ReportMetric(0, "ns/op")
			}
		})
	}
}

// bareRead is how long the servers take to hand out that many messages.
func bareRead(b *testing.B, js jetstream.JetStream, messages int) time.Duration {
	b.Helper()
	begun := time.Now()
	c, err := js.OrderedConsumer(b.Context(), "R", jetstream.OrderedConsumerConfig{FilterSubjects: []string{"r.0.f.*"}})
	require.NoError(b, err)
	all, err := c.Messages(jetstream.PullMaxBytes(1 << 20))
	require.NoError(b, err)
	defer all.Stop()
	for range messages {
		_, err := all.Next()
		require.NoError(b, err)
	}
	return time.Since(begun)
}

// BenchmarkOpenLetters opens a disk with many small files, as dead letters are, and lists them.
func BenchmarkOpenLetters(b *testing.B) {
	for _, letters := range []int{50_000, 200_000, 1_000_000} {
		b.Run(fmt.Sprint(letters), func(b *testing.B) {
			js := connect(b)
			o := jetdisk.Options{JetStream: js, Stream: "R", Prefix: "r.0", Patience: time.Minute} // a server with so many subjects pauses
			d, err := jetdisk.Open(b.Context(), o)
			require.NoError(b, err)
			begun := time.Now()
			for i := range letters {
				writeLetter(b, d, fmt.Sprintf("/spool/deadletters/%012d-0000", i), `{"reason":"application_not_found"}`)
			}
			b.ReportMetric(float64(letters)/time.Since(begun).Seconds(), "written/s")
			d.Close()
			for b.Loop() {
				begun := time.Now()
				d, err := jetdisk.Open(b.Context(), o)
				require.NoError(b, err)
				b.ReportMetric(time.Since(begun).Seconds(), "s-to-open")
				entries, err := d.ReadDir("/spool/deadletters")
				require.NoError(b, err)
				require.Len(b, entries, letters)
				d.Close()
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}
