package test

import (
	"bytes"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var requestRows = map[string][]remedy{
	"Crowded": {
		{text: "have producers keep few connections and use them for many requests; raise `limits.max_connections`, and `LimitNOFILE` with it;", act: (*runbook).letsMoreConnect},
		{text: "keep unknown clients out (tokens, a firewall). Connections that are in use are closed last.", by: "TestConnectionFlood"},
	},
	"Refusing": {
		{text: "429: ReporterdSpoolFull, or a producer above its rate ([access.md](access.md)).", act: (*runbook).raisesARate},
		{text: "503: ReporterdDiskFailing, ReporterdBodiesHeld, or the daemon is stopping.", left: "those rows are carried out"},
		{text: "Producers that retry after `Retry-After` lose nothing.", by: "TestQuota"},
	},
	"BodiesHeld": {
		{text: "have producers send smaller bodies, or fewer at once; look for clients that send slowly.", act: (*runbook).sendsSmallerBodies},
	},
	"AuthorizeBlind": {
		{text: "as ReporterdBackendAway.", act: (*runbook).asksAgain},
		{text: "After `authorize.max_stale` applications that were known are denied, too.", left: "to know"},
	},
	"Unbilled": {
		{text: "what those alerts say.", left: "those rows are carried out"},
		{text: "Any other mode denies such calls.", act: (*runbook).deniesWhatItCannotKeep},
	},
	"NATSAway": {
		{text: "restart the server: reporterd reconnects by itself. A stream keeps its messages; plain publishes made meanwhile are lost.", by: "TestAlertsFireAndClear"},
	},
	"NATSDropping": {
		{text: "use requests or a JetStream stream ([nats.md](nats.md)): these producers get an answer and can retry.", act: (*runbook).asksForAnAnswer},
	},
	"NATSUnsynced": {
		{text: "set `sync_interval: always` ([nats.md](nats.md)).", by: "TestAlertsFireAndClear"},
	},
	"PartitionUnowned": {
		{text: "start more replicas, or bring back a majority of the NATS servers ([cluster.md](cluster.md)).", by: "TestCluster"},
	},
}

func (x *runbook) letsMoreConnect() {
	x.settings.set("limits.max_connections", 4)
	x.begin()
	address := strings.TrimPrefix(x.daemon.traffic, "http://")
	connect := func(n int) {
		for range n {
			c, err := net.Dial("tcp", address)
			require.NoError(x.t, err)
			x.t.Cleanup(func() { _ = c.Close() })
		}
	}
	connect(8)
	x.sees("some are closed", func() bool { return x.figure("reporterd_connections_closed_total") > 0 })
	x.settings.set("limits.max_connections", 100)
	x.restart()
	address = strings.TrimPrefix(x.daemon.traffic, "http://")
	connect(8)
	x.sees("all are there", func() bool { return x.figure("reporterd_connections") >= 8 })
	assert.Zero(x.t, x.figure("reporterd_connections_closed_total"))
}

func (x *runbook) raisesARate() {
	producers := filepath.Join(x.t.TempDir(), "producers.yaml")
	out, err := command(x.t, "token", "create", "--name", "shop", "--services", "1001", "--rate", "1", "--file", producers).Output()
	require.NoError(x.t, err)
	x.settings.set("auth.tokens_file", producers)
	x.begin()
	send := func() int {
		req, err := http.NewRequestWithContext(x.t.Context(), http.MethodPost, x.daemon.traffic+"/v1/events",
			strings.NewReader(strings.Repeat(`{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`+"\n", 5)))
		require.NoError(x.t, err)
		req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(out)))
		req.Header.Set("Content-Type", "application/x-ndjson")
		got, err := do(testClient, req)
		require.NoError(x.t, err)
		return got.status
	}
	x.sees("above its rate", func() bool { return send() == http.StatusTooManyRequests })
	text, err := os.ReadFile(producers)
	require.NoError(x.t, err)
	raised := strings.ReplaceAll(string(text), "rate: 1\n", "rate: 100000\n")
	require.NotEqual(x.t, string(text), raised)
	require.NoError(x.t, os.WriteFile(producers, []byte(raised), 0o600))
	x.reload()
	x.sees("within its rate", func() bool { return send() == http.StatusAccepted })
}

// sendsSmallerBodies: large bodies that do not end hold the memory; small ones get through meanwhile, and large ones
// once the slow clients are gone.
func (x *runbook) sendsSmallerBodies() {
	x.begin()
	var slow []net.Conn
	block := bytes.Repeat([]byte(" "), 1<<20)
	x.sees("held", func() bool {
		c, err := net.Dial("tcp", strings.TrimPrefix(x.daemon.traffic, "http://"))
		require.NoError(x.t, err)
		slow = append(slow, c)
		_ = c.SetWriteDeadline(time.Now().Add(time.Second))
		_, _ = c.Write([]byte("POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: " + strconv.Itoa(8<<20) + "\r\n\r\n"))
		for range 7 {
			_, _ = c.Write(block)
		}
		return x.figure("reporterd_ingest_held_bytes") > 0.6*x.figure("reporterd_ingest_held_limit_bytes")
	})
	x.daemon.send(hit("1001", "app1"))
	for _, c := range slow {
		_ = c.Close()
	}
	x.sees("no longer held", func() bool {
		return x.figure("reporterd_ingest_held_bytes") < 0.1*x.figure("reporterd_ingest_held_limit_bytes")
	})
}

// authorization asks about an application as a 3scale client does.
func (x *runbook) authorization(path string) answer {
	x.t.Helper()
	query := url.Values{"service_id": {"1001"}, "service_token": {"stoken1001"}, "app_id": {"app2"}, "usage[hits]": {"1"}}
	got, err := call(testClient, http.MethodGet, x.daemon.traffic+path+"?"+query.Encode(), "", nil)
	require.NoError(x.t, err)
	return got
}

func (x *runbook) asksAgain() {
	x.settings.set("authorize.ttl", "1s").set("authorize.timeout", "500ms")
	x.begin()
	const path = "/transactions/authorize.xml"
	x.authorization(path)
	x.always(map[string]any{"status": 503}, "authorize")
	x.sees("answered from what is stale", func() bool {
		x.authorization(path)
		return x.figure("reporterd_authorize_answers_total", `source="stale"`) > 0
	})
	x.backend.heal()
	before := 0.0
	x.sees("no longer", func() bool {
		x.authorization(path)
		after := x.figure("reporterd_authorize_answers_total", `source="stale"`)
		over := after == before
		before = after
		return over
	})
}

func (x *runbook) deniesWhatItCannotKeep() {
	x.settings.set("spool.max_bytes", "4MiB").set("batch.flush_interval", "1h").set("authorize.mode", "allow")
	x.begin()
	const path = "/transactions/authrep.xml"
	x.authorization(path)
	fillUp(x.daemon, false)
	x.sees("allowed, and not kept", func() bool {
		return x.authorization(path).status == http.StatusOK && x.figure("reporterd_authorize_usage_total", `outcome="unbilled"`) > 0
	})
	x.daemon.kill()
	x.settings.set("authorize.mode", "resilient").set("data_dir", filepath.Join(x.t.TempDir(), "data")).rewrite(x.t, x.file)
	x.daemon = launch(x.t, x.file)
	x.daemon.ready()
	fillUp(x.daemon, false)
	x.sees("denied", func() bool { return x.authorization(path).status != http.StatusOK })
	assert.Zero(x.t, x.figure("reporterd_authorize_usage_total", `outcome="unbilled"`))
}

func (x *runbook) asksForAnAnswer() {
	x.settings.set("nats.embedded", true).set("nats.listen", "127.0.0.1:0")
	x.begin()
	conn, err := nats.Connect("nats://" + x.daemon.await("nats"))
	require.NoError(x.t, err)
	defer conn.Close()
	journal := filepath.Join(x.settings.dataDir(), "journal")
	require.NoError(x.t, os.Rename(journal, journal+".away"))
	body := []byte(`{"app_id":"app1","usage":{"hits":1}}`)
	big := []byte("[" + strings.TrimSuffix(strings.Repeat(string(body)+",", 2000), ",") + "]")
	ask := func(body []byte) string {
		m, err := conn.Request("usage.1001", body, 20*time.Second)
		require.NoError(x.t, err)
		return string(m.Data)
	}
	x.sees("the producer is told", func() bool { return !strings.Contains(ask(big), `"accepted":2000`) })
	require.NoError(x.t, os.Rename(journal+".away", journal))
	x.sees("it retries, and is acknowledged", func() bool { return strings.Contains(ask(body), `"accepted":1`) })
}
