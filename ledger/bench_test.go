package ledger

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// benchApplications is how many applications the benchmark has; docs/ledger.md has the figures of 100,000.
const benchApplications = "REPORTERD_LEDGER_APPLICATIONS"

const (
	benchHours = 72
	benchSize  = 1000 // transactions of a batch
)

var benchMetrics = []string{"hits", "search", "transfer", "orders", "errors"}

// benchFirst is the first hour of the benchmark.
var benchFirst = time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)

// BenchmarkLedger fills a ledger with three days of applications that each use five metrics in every hour, as it
// would be filled: batches of a thousand transactions that are sealed and delivered. The baseline is the form of the
// same batches, without which no transaction is delivered.
func BenchmarkLedger(b *testing.B) {
	applications := 1000
	if text := os.Getenv(benchApplications); text != "" {
		var err error
		applications, err = strconv.Atoi(text)
		require.NoError(b, err)
	}
	for range b.N {
		benchmark(b, applications)
	}
}

func benchmark(b *testing.B, applications int) {
	l, err := Open(Options{Dir: b.TempDir(), Keep: 100 * 24 * time.Hour})
	require.NoError(b, err)
	defer l.Close()
	r := &run{Ledger: l}
	var booking, forming, longest time.Duration
	transactions, form := 0, []byte(nil)
	for hour := range benchHours {
		for first := 0; first < applications; first += benchSize {
			batch := benchBatch(hour, first, min(benchSize, applications-first))
			begun := time.Now()
			form = benchForm(batch, form[:0])
			forming += time.Since(begun)
			r.gathered = append(r.gathered, spool.BatchEvent{Kind: spool.BatchSealed, Batch: batch}, spool.BatchEvent{Kind: spool.BatchEnded, Batch: batch})
			transactions += len(batch.Transactions)
			r.cells += 2 * len(batch.Transactions)
			if r.cells >= gatherCells || hour == benchHours-1 && first+benchSize >= applications {
				begun = time.Now()
				require.NoError(b, r.commit(b.Context()))
				took := time.Since(begun)
				booking, longest = booking+took, max(longest, took)
				r.gathered, r.cells = r.gathered[:0], 0
			}
		}
	}
	l.measure()
	perBooked, perFormed := float64(booking.Nanoseconds())/float64(transactions), float64(forming.Nanoseconds())/float64(transactions)
	cells := transactions * len(benchMetrics)
	b.ReportMetric(perBooked, "ns/transaction")
	b.ReportMetric(perFormed, "ns/form")
	b.ReportMetric(perBooked/perFormed, "times-the-form")
	b.ReportMetric(float64(longest.Milliseconds()), "ms-longest")
	b.ReportMetric(float64(l.Stats().Bytes)/1e6, "MB")
	b.ReportMetric(float64(l.Stats().Bytes)/float64(cells), "bytes/cell")
	for name, q := range map[string]Query{
		"one-application": {ServiceID: "1001", AppID: "app000007", Metric: "hits"},
		"one-service":     {ServiceID: "1001", AllApplications: true},
		"everybody":       {ServiceID: "1001", Metric: "hits"},
	} {
		q.By, q.Since, q.Until = ByDay, benchFirst, benchFirst.AddDate(0, 1, 0)
		rows, took := benchQuery(b, l, q)
		b.ReportMetric(float64(took.Microseconds())/1000, "ms-"+name)
		b.Logf("a month by day, %s: %d rows in %v", name, rows, took)
	}
	b.Logf("%d applications x %d metrics x %d hours = %d cells", applications, len(benchMetrics), benchHours, cells)
}

// benchQuery is the median of five times of one query.
func benchQuery(b *testing.B, l *Ledger, q Query) (rows int, median time.Duration) {
	var times []time.Duration
	for range 5 {
		rows = 0
		begun := time.Now()
		require.NoError(b, l.Rows(q, func(*Row) error { rows++; return nil }))
		times = append(times, time.Since(begun))
	}
	slices.Sort(times)
	return rows, times[2]
}

func benchBatch(hour, first, n int) *spool.Batch {
	at := benchFirst.Add(time.Duration(hour) * time.Hour).Unix()
	batch := &spool.Batch{
		ID:   spool.BatchID{Position: spool.Position(hour*1_000_000 + first + n)},
		Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: time.Unix(at+3600, 0), Transactions: make([]spool.Transaction, n),
	}
	for i := range batch.Transactions {
		t := &batch.Transactions[i]
		t.Events, t.Timestamp, t.Application.ID = 10, at+int64(i%3600), fmt.Sprintf("app%06d", first+i)
		for m, name := range benchMetrics {
			t.Usage = append(t.Usage, threescale.Increment{Metric: name, Value: uint64(10 + (first+i+hour)%90*(m+1))})
		}
	}
	return batch
}

func benchForm(batch *spool.Batch, dst []byte) []byte {
	r := threescale.Report{ServiceID: batch.Lane.ServiceID, Credentials: threescale.Credentials{ServiceToken: "token"}}
	for i := range batch.Transactions {
		r.Transactions = append(r.Transactions, batch.Transactions[i].Transaction)
	}
	return r.AppendForm(dst)
}
