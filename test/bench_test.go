package test

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
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
	requests  [][]byte
	rates     []float64 // requests a second, by round
	latencies []time.Duration
	p99       []time.Duration
	cpu       []time.Duration // a request
}

// BenchmarkIngest prints, for one event a request and for many, what the daemon does with every event durable before the answer, beside
// handlers that keep nothing, and beside vmagent where it is installed, which does not sync; all in the same run.
func BenchmarkIngest(b *testing.B) {
	linuxOnly(b)
	for _, c := range []struct{ perRequest, connections int }{{1, benchConnections}, {1, 64}, {100, benchConnections}, {500, benchConnections}} {
		b.Run(fmt.Sprintf("events=%d/connections=%d", c.perRequest, c.connections), func(b *testing.B) {
			for b.Loop() {
				compare(b, c.perRequest, c.connections)
			}
		})
	}
}

// compare runs one comparison and prints it.
func compare(b *testing.B, perRequest, connections int) {
	s := newSettings(b, sandbox(b).url).
		set("batch.flush_interval", "5s").
		set("spool.max_bytes", "10GiB").
		set("spool.sync", "always").
		set("admin.pprof", true)
	d := serve(b, s)
	requests := rawEvents(512, perRequest, smallEvent)
	all := []*contender{
		{name: "bare net/http", process: baseline(b, bareHandler), requests: requests},
		{name: "encoding/json", process: baseline(b, jsonHandler), requests: requests},
	}
	if agent := vmagent(b, perRequest); agent != nil {
		all = append(all, agent)
	}
	all = append(all, &contender{name: "reporterd", process: d.process, requests: requests})
	for _, c := range all {
		round(b, c, perRequest, connections, benchWarmUp)
		c.rates, c.latencies, c.p99, c.cpu = nil, nil, nil, nil
	}
	for range benchRounds {
		for _, c := range all {
			round(b, c, perRequest, connections, benchRound)
		}
	}
	report(b, all, perRequest, connections, commitLatency(b, s.dataDir()))
	profile(b, d, load{d.await("traffic"), connections, requests, perRequest})
	now, peak := d.memory()
	fmt.Fprintf(os.Stderr, "reporterd: %.0f MiB resident, %.0f at most\n", now, peak)
	d.status() // the figures still add up
	for _, c := range all {
		c.kill()
	}
}

// vmagent is VictoriaMetrics' agent, with its destination away; nil where it is not installed. It gets the same usage as Influx lines,
// and acknowledges what is in its memory.
func vmagent(b *testing.B, perRequest int) *contender {
	program, err := exec.LookPath("vmagent")
	if err != nil {
		fmt.Fprintln(os.Stderr, "vmagent is not installed (Debian: victoria-metrics)")
		return nil
	}
	address := fmt.Sprintf("127.0.0.1:%d", freePort(b))
	p := start(b, exec.Command(program, "-httpListenAddr="+address, "-remoteWrite.url=http://127.0.0.1:1/", "-remoteWrite.tmpDataPath="+b.TempDir()))
	eventually(b, 20*time.Second, "vmagent listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	p.mu.Lock()
	defer p.mu.Unlock()
	p.addresses["traffic"] = address
	requests := make([][]byte, 512)
	for r := range requests {
		var body strings.Builder
		for e := range perRequest {
			fmt.Fprintf(&body, "usage,service_id=1001,app_id=bulk%d hits=1\n", (r*perRequest+e)%50+1)
		}
		requests[r] = fmt.Appendf(nil, "POST /write HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%s", body.Len(), body.String())
	}
	return &contender{name: "vmagent", process: p, requests: requests}
}

// smallEvent is the i-th event of a benchmark: one of fifty applications, one hit.
func smallEvent(i int) string {
	return fmt.Sprintf(`{"service_id":"1001","app_id":"bulk%d","usage":{"hits":1}}`, i%50+1)
}

// round puts load on one server for a while.
func round(b *testing.B, c *contender, perRequest, connections int, d time.Duration) {
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	before := c.process.cpu()
	m, err := load{c.await("traffic"), connections, c.requests, perRequest}.run(ctx)
	require.NoError(b, err, "%s", c.name)
	c.rates, c.latencies, c.p99 = append(c.rates, m.perSecond()), append(c.latencies, m.median), append(c.p99, m.p99)
	c.cpu = append(c.cpu, (c.process.cpu()-before)/time.Duration(max(1, m.requests)))
}

// report prints the table, and the daemon's figures as metrics of the benchmark.
func report(b *testing.B, all []*contender, perRequest, connections int, commit time.Duration) {
	bare, ours := all[0], all[len(all)-1]
	var text strings.Builder
	fmt.Fprintf(&text, "%s\none page durable: %v; %d events, %d bytes a request, %d connections, %d rounds of %v\n",
		machine(), commit, perRequest, len(ours.requests[0]), connections, benchRounds, benchRound)
	fmt.Fprintf(&text, "%-14s %12s %12s %8s %10s %10s %14s\n", "", "requests/s", "events/s", "of bare", "median", "p99", "CPU µs/event")
	for _, c := range all {
		rate := median(c.rates)
		fmt.Fprintf(&text, "%-14s %12.0f %12.0f %7.0f%% %10v %10v %14.2f\n", c.name, rate, rate*float64(perRequest), 100*rate/median(bare.rates),
			median(c.latencies).Round(10*time.Microsecond), median(c.p99).Round(10*time.Microsecond), c.cpuPerEvent(perRequest))
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
