package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// BenchmarkGate prints what a proxy's question costs beside a bare handler, among 300 rules and with the answer in the cache. The usage
// of a yes is durable before the answer.
func BenchmarkGate(b *testing.B) {
	linuxOnly(b)
	for b.Loop() {
		compareGate(b)
	}
}

func compareGate(b *testing.B) {
	var rules strings.Builder
	rules.WriteString("services:\n- service: \"1001\"\n  credentials: {in: query, app_id: app_id}\n  rules:\n")
	for i := range 300 {
		fmt.Fprintf(&rules, "  - {method: GET, pattern: \"/api/v%d/resource%d/{id}\", metric: hits, delta: 1}\n", i%3, i)
	}
	file := filepath.Join(b.TempDir(), "gate.yaml")
	require.NoError(b, os.WriteFile(file, []byte(rules.String()), 0o600))
	s := newSettings(b, sandbox(b).url).set("batch.flush_interval", "5s").set("spool.max_bytes", "10GiB").set("spool.sync", "always").
		set("authorize.ttl", "1h").set("admin.pprof", true).set("gate.listen", "127.0.0.1:0").set("gate.rules", file)
	d := serve(b, s)
	bare := baseline(b, sameHandler, bodyVariable+"=yes")
	questions := make([][]byte, 50)
	for i := range questions {
		questions[i] = fmt.Appendf(nil, "GET /gate HTTP/1.1\r\nHost: localhost\r\nX-Original-Method: GET\r\nX-Original-URI: /api/v2/resource299/17?app_id=bulk%d\r\n\r\n", i+1)
	}
	all := []*asked{
		{name: "bare net/http", process: bare, requests: questions},
		{name: "gate", process: d.process, listener: "gate", requests: questions},
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
	fmt.Fprintf(os.Stderr, "\n%s\none page durable: %v; %d connections\n", machine(), commitLatency(b, s.dataDir()), authorizeConnections)
	for _, a := range all {
		fmt.Fprintf(os.Stderr, "%-14s %12.0f questions/s, p99 %v, CPU %.1f µs\n", a.name, median(a.rates), median(a.p99), median(a.cpu).Seconds()*1e6)
		b.ReportMetric(median(a.cpu).Seconds()*1e6, strings.ReplaceAll(a.name, " ", "-")+"-µs")
	}
	b.ReportMetric(0, "ns/op")
	got := mustCall(b, http.StatusOK, http.MethodGet, d.admin+"/metrics", nil)
	require.Contains(b, got.body, `reporterd_gate_answers_total{form="original",status="200"}`)
	require.NotContains(b, got.body, `reporterd_gate_answers_total{form="original",status="5`)
	profile(b, d, load{address: d.await("gate"), connections: authorizeConnections, requests: questions, perRequest: 1})
	d.kill()
	bare.kill()
}
