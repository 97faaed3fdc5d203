package test

import (
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkBesideTheLedger prints what the daemon takes in with a ledger beside what it takes in without one, in one
// run: events of 5,000 applications, cut every second, delivered and booked meanwhile.
func BenchmarkBesideTheLedger(b *testing.B) {
	linuxOnly(b)
	const perRequest, applications = 100, 5000
	for b.Loop() {
		requests := rawEvents(512, perRequest, func(i int) string {
			return fmt.Sprintf(`{"service_id":"1001","app_id":"%s","usage":{"hits":1,"transfer":7}}`, application(i%applications))
		})
		begin := func(name string, kept bool) *contender {
			back := sandbox(b)
			back.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
			d := serve(b, newSettings(b, back.url).set("batch.flush_interval", "1s").set("spool.max_bytes", "10GiB").set("ledger.enabled", kept))
			return &contender{name: name, process: d.process, requests: requests}
		}
		all := []*contender{begin("without", false), begin("with a ledger", true)}
		for _, c := range all {
			round(b, c, perRequest, benchConnections, benchWarmUp)
			c.rates, c.latencies, c.cpu = nil, nil, nil
		}
		for range benchRounds {
			for _, c := range all {
				round(b, c, perRequest, benchConnections, benchRound)
			}
		}
		fmt.Fprintf(os.Stderr, "\n%s\n%d applications, %d events a request, %d rounds of %v\n", machine(), applications, perRequest, benchRounds, benchRound)
		for _, c := range all {
			fmt.Fprintf(os.Stderr, "%-14s %12.0f events/s %10v median %8.2f CPU µs/event\n", c.name, median(c.rates)*perRequest, median(c.latencies), c.cpuPerEvent(perRequest))
		}
		require.Positive(b, median(all[0].rates))
		b.ReportMetric(median(all[1].rates)/median(all[0].rates), "of-without")
		b.ReportMetric(all[1].cpuPerEvent(perRequest)/all[0].cpuPerEvent(perRequest), "cpu-of-without")
		b.ReportMetric(0, "ns/op")
		for _, c := range all {
			c.kill()
		}
	}
}
