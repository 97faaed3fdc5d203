package test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// What one comparison consists of. The servers take turns, so that noise of the machine hits all alike,
// and the median of the rounds stands.
const (
	profileVariable = "REPORTERD_PROFILE" // a directory: CPU profiles of the daemon go there

	benchRounds      = 5
	benchRound       = 2 * time.Second
	benchWarmUp      = 500 * time.Millisecond
	benchConnections = 256 // enough to have a group waiting behind every fdatasync
)

// contender is one server of a comparison.
type contender struct {
	name string
	*process
	rates     []float64 // requests a second, by round
	latencies []time.Duration
	cpu       []time.Duration // a request
}

// BenchmarkIngest prints, for 100 events a request and for one, what the daemon does with every event
// durable before the answer, beside handlers that keep nothing, all in the same run.
func BenchmarkIngest(b *testing.B) {
	linuxOnly(b)
	for _, perRequest := range []int{100, 1} {
		b.Run(fmt.Sprintf("events=%d", perRequest), func(b *testing.B) {
			for b.Loop() {
				compare(b, perRequest)
			}
		})
	}
}

// compare runs one comparison and prints it.
func compare(b *testing.B, perRequest int) {
	s := newSettings(b, sandbox(b).url).
		set("batch.flush_interval", "5s").
		set("spool.max_bytes", "10GiB").
		set("spool.sync", "always").
		set("admin.pprof", true)
	d := serve(b, s)
	all := []*contender{
		{name: "bare net/http", process: baseline(b, bareHandler)},
		{name: "encoding/json", process: baseline(b, jsonHandler)},
		{name: "reporterd", process: d.process},
	}
	requests := rawEvents(512, perRequest, smallEvent)
	for _, c := range all {
		round(b, c, requests, perRequest, benchWarmUp)
		c.rates, c.latencies, c.cpu = nil, nil, nil
	}
	for range benchRounds {
		for _, c := range all {
			round(b, c, requests, perRequest, benchRound)
		}
	}
	report(b, all, perRequest, len(requests[0]), commitLatency(b, s.dataDir()))
	profile(b, d, load{d.await("traffic"), benchConnections, requests, perRequest})
	d.status() // the figures still add up
	for _, c := range all {
		c.kill()
	}
}

// smallEvent is the i-th event of a benchmark: one of fifty applications, one hit.
func smallEvent(i int) string {
	return fmt.Sprintf(`{"service_id":"1001","app_id":"bulk%d","usage":{"hits":1}}`, i%50+1)
}

// round puts load on one server for a while.
func round(b *testing.B, c *contender, requests [][]byte, perRequest int, d time.Duration) {
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	before := c.process.cpu()
	m, err := load{c.await("traffic"), benchConnections, requests, perRequest}.run(ctx)
	require.NoError(b, err, "%s", c.name)
	c.rates = append(c.rates, m.perSecond())
	c.latencies = append(c.latencies, m.median)
	c.cpu = append(c.cpu, (c.process.cpu()-before)/time.Duration(max(1, m.requests)))
}

// report prints the table, and the daemon's figures as metrics of the benchmark.
func report(b *testing.B, all []*contender, perRequest, size int, commit time.Duration) {
	bare, ours := all[0], all[len(all)-1]
	var text strings.Builder
	fmt.Fprintf(&text, "%s\none page durable: %v; %d events, %d bytes a request, %d connections, %d rounds of %v\n",
		machine(), commit, perRequest, size, benchConnections, benchRounds, benchRound)
	fmt.Fprintf(&text, "%-14s %12s %12s %8s %10s %14s\n", "", "requests/s", "events/s", "of bare", "median", "CPU µs/event")
	for _, c := range all {
		rate := median(c.rates)
		fmt.Fprintf(&text, "%-14s %12.0f %12.0f %7.0f%% %10v %14.2f\n", c.name, rate, rate*float64(perRequest),
			100*rate/median(bare.rates), median(c.latencies).Round(10*time.Microsecond), c.cpuPerEvent(perRequest))
	}
	fmt.Fprint(os.Stderr, "\n", text.String())
	b.ReportMetric(median(ours.rates)*float64(perRequest), "events/s")
	b.ReportMetric(median(ours.rates)/median(bare.rates), "of-bare")
	b.ReportMetric(median(ours.rates)/median(all[1].rates), "of-json")
	b.ReportMetric(ours.cpuPerEvent(perRequest), "cpu-µs/event")
	b.ReportMetric(0, "ns/op")
}

// profile writes what the daemon spends its time on under the same load, when asked to.
func profile(b *testing.B, d *daemon, l load) {
	dir := os.Getenv(profileVariable)
	if dir == "" {
		return
	}
	ctx, cancel := context.WithTimeout(b.Context(), 12*time.Second)
	defer cancel()
	var wait sync.WaitGroup
	wait.Go(func() {
		_, err := l.run(ctx)
		assert.NoError(b, err)
	})
	got := mustCall(b, http.StatusOK, http.MethodGet, d.admin+"/debug/pprof/profile?seconds=10", nil)
	name := filepath.Join(dir, fmt.Sprintf("cpu-%d-events.pprof", l.perRequest))
	require.NoError(b, os.WriteFile(name, []byte(got.body), 0o600))
	cancel()
	wait.Wait()
}

// cpuPerEvent is in microseconds.
func (c *contender) cpuPerEvent(perRequest int) float64 {
	return median(c.cpu).Seconds() * 1e6 / float64(perRequest)
}

// median returns the middle value; it sorts.
func median[T cmp.Ordered](values []T) T {
	values = slices.Clone(values)
	slices.Sort(values)
	return values[len(values)/2]
}

// BenchmarkMemory prints what the daemon holds in memory with 100,000 applications in the window.
func BenchmarkMemory(b *testing.B) {
	linuxOnly(b)
	const applications = 100_000
	for b.Loop() {
		s := newSettings(b, "http://127.0.0.1:1").
			set("batch.flush_interval", "1h").
			set("spool.max_bytes", "10GiB")
		d := serve(b, s)
		empty, _ := d.memory()
		requests := rawEvents(applications/100*5, 100, func(i int) string {
			return fmt.Sprintf(`{"service_id":"1001","app_id":"application-%06d","usage":{"hits":1,"transfer":512,"search":1}}`, i%applications)
		})
		m, err := load{d.await("traffic"), 32, requests, 100}.run(b.Context())
		require.NoError(b, err)
		eventually(b, 30*time.Second, "the window has all of them", func() bool {
			metrics := mustCall(b, http.StatusOK, http.MethodGet, d.admin+"/metrics", nil).body
			return strings.Contains(metrics, fmt.Sprintf("\nreporterd_window_events %d\n", m.requests*100))
		})
		now, peak := d.memory()
		fmt.Fprintf(os.Stderr, "\n%d events of %d applications, three metrics each, in the window: %.0f MiB resident, %.0f MiB at most (%.0f MiB before the first)\n",
			m.requests*100, applications, now, peak, empty)
		b.ReportMetric(now, "MiB")
		b.ReportMetric(peak, "MiB-peak")
		b.ReportMetric(0, "ns/op")
		d.kill()
	}
}
