package test

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// authorizeConnections is how many callers the comparison has.
const authorizeConnections = 64

// asked is one way to be asked, and what came of it.
type asked struct {
	name     string
	process  *process
	listener string // empty: traffic
	requests [][]byte
	beside   int // the place of its baseline in the table
	rates    []float64
	p99      []time.Duration
	cpu      []time.Duration // a request
}

// BenchmarkAuthorize prints what cached authorizations cost beside a handler that sends the same bytes, all
// in the same run: for one application, for as many as the sandbox's series has, with authrep, whose usage is durable before the
// answer, and in a mix of authrep, events and reports on the same connections.
func BenchmarkAuthorize(b *testing.B) {
	linuxOnly(b)
	for b.Loop() {
		compareAuthorize(b)
	}
}

func compareAuthorize(b *testing.B) {
	s := newSettings(b, sandbox(b).url).set("batch.flush_interval", "5s").set("spool.max_bytes", "10GiB").
		set("spool.sync", "always").set("admin.pprof", true).set("authorize.ttl", "1h")
	d := serve(b, s)
	sample := mustCall(b, http.StatusOK, http.MethodGet, d.traffic+authorization("authorize", 0), nil)
	bare := baseline(b, sameHandler, bodyVariable+"="+sample.body)
	all := []*asked{
		{name: "bare net/http", process: bare, requests: authorizations("authorize")},
		{name: "authorize", process: d.process, requests: authorizations("authorize")},
		{name: "authrep", process: d.process, requests: authorizations("authrep")},
		{name: "bare, mixed", process: bare, requests: mixed(), beside: 3},
		{name: "mixed", process: d.process, requests: mixed(), beside: 3},
	}
	for _, a := range all {
		a.round(b, benchWarmUp)
		a.rates, a.p99, a.cpu = nil, nil, nil
	}
	for range benchRounds {
		for _, a := range all {
			a.round(b, benchRound)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s\none page durable: %v; %d connections, %d bytes an answer, %d rounds of %v\n",
		machine(), commitLatency(b, s.dataDir()), authorizeConnections, len(sample.body), benchRounds, benchRound)
	fmt.Fprintf(&text, "%-14s %12s %8s %10s %16s\n", "", "requests/s", "of bare", "p99", "CPU µs/request")
	for _, a := range all {
		share := median(a.rates) / median(all[a.beside].rates)
		fmt.Fprintf(&text, "%-14s %12.0f %7.0f%% %10v %16.1f\n", a.name, median(a.rates), 100*share,
			median(a.p99).Round(10*time.Microsecond), median(a.cpu).Seconds()*1e6)
		b.ReportMetric(share, strings.NewReplacer(" ", "-", ",", "").Replace(a.name)+"-of-bare")
	}
	fmt.Fprint(os.Stderr, "\n", text.String())
	b.ReportMetric(median(all[2].p99).Seconds()*1e3, "authrep-p99-ms")
	b.ReportMetric(0, "ns/op")
	profile(b, d, load{address: d.await("traffic"), connections: authorizeConnections, requests: all[2].requests, perRequest: 1})
	d.kill()
	bare.kill()
}

// authorization is the path of the i-th call: one of fifty applications, one hit.
func authorization(call string, i int) string {
	return fmt.Sprintf("/transactions/%s.xml?service_token=stoken1001&service_id=1001&app_id=bulk%d&usage%%5Bhits%%5D=1", call, i%50+1)
}

func authorizations(call string) [][]byte {
	all := make([][]byte, 50)
	for i := range all {
		all[i] = []byte("GET " + authorization(call, i) + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\n\r\n")
	}
	return all
}

// mixed are authreps, requests of one event, and reports of one transaction, in turn.
func mixed() [][]byte {
	all := authorizations("authrep")[:48]
	for i := range all {
		switch i % 3 {
		case 1:
			all[i] = rawRequest([]byte(smallEvent(i)))
		case 2:
			body := fmt.Sprintf("service_token=stoken1001&service_id=1001&transactions%%5B0%%5D%%5Bapp_id%%5D=bulk%d&transactions%%5B0%%5D%%5Busage%%5D%%5Bhits%%5D=1", i%50+1)
			all[i] = fmt.Appendf(nil, "POST /transactions.xml HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
		}
	}
	return all
}

func (a *asked) round(b *testing.B, d time.Duration) {
	ctx, cancel := context.WithTimeout(b.Context(), d)
	defer cancel()
	before := a.process.cpu()
	m, err := load{address: a.process.await(cmp.Or(a.listener, "traffic")), connections: authorizeConnections, requests: a.requests, perRequest: 1}.run(ctx)
	require.NoError(b, err, "%s", a.name)
	a.rates = append(a.rates, m.perSecond())
	a.p99 = append(a.p99, m.p99)
	a.cpu = append(a.cpu, (a.process.cpu()-before)/time.Duration(max(1, m.requests)))
}
