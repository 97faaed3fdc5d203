package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	servicesTime = 30 * time.Second // of load for each number of services
	servicesTick = 100 * time.Millisecond
)

// servicesRow is what one number of services came to.
type servicesRow struct {
	cold    time.Duration // until the first event of each service was delivered, whose application is unknown
	events  uint64
	calls   uint64        // reports
	cpu     time.Duration // of the daemon, while there was load and until all was delivered
	took    time.Duration // that long
	oldest  time.Duration // the oldest event that waited, at the worst
	drained time.Duration // until all was delivered, after the last event
	memory  float64       // resident, MiB
}

// BenchmarkServices prints what one event a second of each of many services costs, from 250 to 10,000 services beside each other.
func BenchmarkServices(b *testing.B) {
	linuxOnly(b)
	for b.Loop() {
		var text strings.Builder
		fmt.Fprintf(&text, "%s\none event a second of each service for %v, a backend that answers at once\n", machine(), servicesTime)
		fmt.Fprintf(&text, "%8s %8s %9s %9s %14s %12s %10s %10s %10s %9s\n",
			"services", "cold", "events", "calls", "calls/M events", "CPU/call", "of a core", "oldest", "drained", "memory")
		for _, n := range numbers(b, "REPORTERD_SERVICES", 250, 1000, 3000, 5000, 10_000) {
			r := oneEventASecond(b, n)
			fmt.Fprintf(&text, "%8d %8v %9d %9d %14.0f %10.3fms %9.0f%% %10v %10v %5.0f MiB\n", n, r.cold.Round(100*time.Millisecond), r.events, r.calls, float64(r.calls)*1e6/float64(r.events),
				float64(r.cpu.Microseconds())/1000/float64(max(r.calls, 1)), 100*r.cpu.Seconds()/r.took.Seconds(),
				r.oldest.Round(100*time.Millisecond), r.drained.Round(100*time.Millisecond), r.memory)
		}
		fmt.Fprint(os.Stderr, "\n", text.String())
	}
	b.ReportMetric(0, "ns/op")
}

// groupVariable is the directory of a control group that the daemon of BenchmarkServices is in, which limits its processor.
const groupVariable = "REPORTERD_CPU_GROUP"

// serveInGroup is serve in the control group of the variable, if there is one.
func serveInGroup(b *testing.B, s settings) *daemon {
	group := os.Getenv(groupVariable)
	if group == "" {
		return serve(b, s)
	}
	d := launchWith(b, "echo $$ > "+filepath.Join(group, "cgroup.procs"), s.write(b))
	d.ready()
	return d
}

// numbers returns the numbers that a variable has between commas, or those of the full table.
func numbers(b *testing.B, variable string, all ...int) (chosen []int) {
	text := os.Getenv(variable)
	if text == "" {
		return all
	}
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		require.NoError(b, err, "%s", variable)
		chosen = append(chosen, n)
	}
	return chosen
}

// oneEventASecond runs a daemon with n services.
func oneEventASecond(b *testing.B, n int) (r servicesRow) {
	backend := baseline(b, allowHandler)
	services := make([]any, n)
	for i := range services {
		services[i] = map[string]any{"id": fmt.Sprint(10_000 + i), "token": "t"}
	}
	s := newSettings(b, "http://"+backend.await("traffic")).
		set("services", services).set("spool.max_bytes", "10GiB").set("admin.pprof", true)
	delete(s, "batch")
	d := serveInGroup(b, s)
	defer backend.kill()
	defer d.kill()
	asked := time.Now()
	d.sendMany(n, oneHit)
	_, _ = call(testClient, http.MethodPost, d.admin+"/-/flush", "", nil) // it may take longer than the client waits
	for d.status().Events.Pending > 0 && time.Since(asked) < 2*time.Minute {
		<-time.After(500 * time.Millisecond)
	}
	r.cold = time.Since(asked)
	known, started, before := d.status(), time.Now(), d.cpu()
	profiled := make(chan struct{})
	go func() {
		defer close(profiled)
		profileServices(b, d, n)
	}()
	for next := started; time.Since(started) < servicesTime; next = next.Add(servicesTick) {
		<-time.After(time.Until(next))
		first := int(next.Sub(started)/servicesTick) * n / 10
		d.sendMany(n/10, func(i int) string { return oneHit((first + i) % n) })
		if int(next.Sub(started)/servicesTick)%5 == 4 {
			r.oldest = max(r.oldest, d.oldest())
		}
	}
	ended := time.Now()
	for d.status().Events.Pending > 0 && time.Since(ended) < time.Minute {
		<-time.After(500 * time.Millisecond)
		r.oldest = max(r.oldest, d.oldest())
	}
	<-profiled
	r.drained, r.took, r.cpu = time.Since(ended), time.Since(started), d.cpu()-before
	got := d.status()
	r.events, r.calls = got.Events.Delivered-known.Events.Delivered, got.Backend.ReportCalls-known.Backend.ReportCalls
	r.memory, _ = d.memory()
	return r
}

// oneHit is an event of the i-th service.
func oneHit(i int) string {
	return fmt.Sprintf(`{"service_id":"%d","app_id":"a","usage":{"hits":1}}`, 10_000+i)
}

// oldest is how old the oldest event is that waits.
func (d *daemon) oldest() time.Duration {
	return time.Duration(d.status().Spool.OldestAgeSeconds * float64(time.Second))
}

// sendMany posts n events in one request.
func (d *daemon) sendMany(n int, event func(i int) string) {
	d.t.Helper()
	var body bytes.Buffer
	for i := range n {
		body.WriteString(event(i) + "\n")
	}
	got, err := call(testClient, http.MethodPost, d.traffic+"/v1/events", "application/x-ndjson", body.Bytes())
	require.NoError(d.t, err)
	require.Equal(d.t, http.StatusAccepted, got.status, "%s", got.body)
}

// profileServices writes a CPU profile of the daemon, when asked to.
func profileServices(b *testing.B, d *daemon, n int) {
	dir := os.Getenv(profileVariable)
	if dir == "" {
		return
	}
	<-time.After(18 * time.Second) // a window is cut 20 s after its first event
	got := mustCall(b, http.StatusOK, http.MethodGet, d.admin+"/debug/pprof/profile?seconds=12", nil)
	require.NoError(b, os.WriteFile(filepath.Join(dir, fmt.Sprintf("services-%d.pprof", n)), []byte(got.body), 0o600))
}
