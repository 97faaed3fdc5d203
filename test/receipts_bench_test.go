package test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// receiptCost is what a load of reports cost, with receipts or without.
type receiptCost struct {
	events, reports uint64
	counted         time.Duration // until the sandbox had counted all
	delivered       time.Duration // until all was delivered
	transactions    uint64        // in reports, receipts included
	bytes           uint64        // of their bodies
	authorizes      uint64        // by which receipts were read
}

// BenchmarkReceipts prints what receipts cost beside none, in turns in one run: bytes, transactions and authorize calls for each
// thousand reports, and throughput; for full reports as fast as they go, and for small ones, one at a time.
func BenchmarkReceipts(b *testing.B) {
	loads := []struct {
		name         string
		applications int
		rounds       int
		pause        time.Duration
		flush        string
	}{
		{"full reports, as fast as they go", 10_000, 18, 0, "2s"},
		{"reports of 10, two a second", 10, 30, 500 * time.Millisecond, "50ms"},
	}
	for b.Loop() {
		var text strings.Builder
		fmt.Fprintf(&text, "%s\n", machine())
		for _, load := range loads {
			fmt.Fprintf(&text, "%s\n%-4s %8s %8s %10s %10s %10s %16s %20s %16s\n", load.name,
				"", "events", "reports", "counted", "delivered", "events/s", "bytes/k reports", "transactions/k rep.", "authorizes/k rep.")
			for range 3 {
				for _, on := range []bool{false, true} {
					c := receiptLoad(b, on, load.applications, load.rounds, load.pause, load.flush)
					fmt.Fprintf(&text, "%-4s %8d %8d %10v %10v %10.0f %16d %20d %16d\n", map[bool]string{true: "on", false: "off"}[on], c.events, c.reports,
						c.counted.Round(10*time.Millisecond), c.delivered.Round(10*time.Millisecond), float64(c.events)/c.counted.Seconds(),
						c.bytes*1000/c.reports, c.transactions*1000/c.reports, c.authorizes*1000/c.reports)
				}
			}
		}
		fmt.Fprint(os.Stderr, "\n", text.String())
	}
	b.ReportMetric(0, "ns/op")
}

// receiptLoad sends an event of each application, so often, and returns what that cost. The applications are proven before.
func receiptLoad(b *testing.B, on bool, applications, rounds int, every time.Duration, flush string) (c receiptCost) {
	back := sandbox(b)
	defer back.kill()
	back.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
	s := newSettings(b, back.url).set("sender.probe_rate", 10_000).set("sender.proof_life", "24h").set("batch.flush_interval", flush)
	if on {
		s.set("services", back.setUpReceipts())
	}
	d := serve(b, s)
	defer d.kill()
	now := time.Now()
	send := func(round int) {
		for from := 0; from < applications; from += 1000 {
			var all []event
			for i := from; i < min(from+1000, applications); i++ {
				e := hit("1001", application(i))
				e.Timestamp = now.Add(-time.Duration(round) * time.Minute).Unix() // usage of one minute would be summed up
				all = append(all, e)
			}
			d.send(all...)
		}
	}
	delivered := func() bool { return d.status().Events.Pending == 0 }
	send(rounds)
	eventually(b, 3*time.Minute, "the applications are proven", delivered)
	before, reads, begun := back.calls(), d.receiptReads(), time.Now()
	for round := range rounds {
		next := time.Now().Add(every)
		send(round)
		<-time.After(time.Until(next))
	}
	want := uint64((rounds + 1) * applications)
	eventually(b, 3*time.Minute, "all is counted", func() bool {
		got := uint64(0)
		for app, metrics := range back.usage()["1001"] {
			if !strings.HasPrefix(app, "receipt-") {
				got += metrics["hits"]
			}
		}
		require.LessOrEqual(b, got, want)
		return got == want
	})
	c.counted = time.Since(begun)
	eventually(b, 3*time.Minute, "all is delivered", delivered)
	c.delivered = time.Since(begun)
	after := back.calls()
	c.events, c.reports = uint64(rounds*applications), after.Report-before.Report
	c.transactions, c.bytes = after.Transactions-before.Transactions, after.ReportBytes-before.ReportBytes
	c.authorizes = d.receiptReads() - reads
	return c
}

// receiptReads is how many authorize calls have read receipts.
func (d *daemon) receiptReads() (n uint64) {
	for line := range strings.Lines(metrics(d)) {
		if value, found := strings.CutPrefix(line, "reporterd_receipt_reads_total "); found {
			n, _ = strconv.ParseUint(strings.TrimSpace(value), 10, 64)
		}
	}
	return n
}
