package ledger

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// newNames is how many applications that the ledger has not seen one window has in BenchmarkNewNames: the most that a window may
// have.
const newNames = 200_000

// BenchmarkNewNames books five windows with a million applications in all that the ledger has not seen, in any order, and prints
// how long the slowest window took. The baseline is the same for a window a tenth as large, times ten.
func BenchmarkNewNames(b *testing.B) {
	for range b.N {
		l, err := Open(Options{Dir: b.TempDir(), Keep: 100 * 24 * time.Hour})
		require.NoError(b, err)
		r := &run{Ledger: l}
		baseline := r.bookNew(b, newNames/10) * 10
		var all, longest time.Duration
		used := processor()
		for range 5 {
			took := r.bookNew(b, newNames)
			all, longest = all+took, max(longest, took)
		}
		b.ReportMetric(all.Seconds(), "s/million")
		b.ReportMetric((processor() - used).Seconds(), "cpu-s/million")
		b.ReportMetric(longest.Seconds(), "s-longest")
		b.ReportMetric(baseline.Seconds(), "s-baseline")
		require.NoError(b, l.Close())
	}
}

// processor is how much processor time this process has used.
func processor() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// bookNew books a window of new applications, and returns how long that took.
func (r *run) bookNew(b *testing.B, n int) time.Duration {
	random := rand.New(rand.NewPCG(1, uint64(len(r.names.known))))
	r.gathered = r.gathered[:0]
	for first := 0; first < n; first += benchSize {
		batch := &spool.Batch{ID: spool.BatchID{Position: spool.Position(first)}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: benchFirst}
		for range min(benchSize, n-first) {
			batch.Transactions = append(batch.Transactions, spool.Transaction{Events: 1, Transaction: threescale.Transaction{
				Application: threescale.Application{ID: fmt.Sprintf("%016x", random.Uint64())}, Timestamp: benchFirst.Unix(), Usage: threescale.Usage{{Metric: "hits", Value: 1}},
			}})
		}
		r.gathered = append(r.gathered, spool.BatchEvent{Kind: spool.BatchSealed, Batch: batch})
	}
	begun := time.Now()
	require.NoError(b, r.commit(b.Context()))
	return time.Since(begun)
}
