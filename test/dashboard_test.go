package test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dashboard is deploy/grafana/dashboard.json, as far as its queries go.
type dashboard struct {
	Panels []struct {
		Title, Type string
		Targets     []struct{ Expr string }
	}
	Annotations struct{ List []struct{ Name, Expr string } }
	Templating  struct {
		List []struct {
			Name  string
			Query json.RawMessage
		}
	}
}

// question is one query of a dashboard.
type question struct{ where, expr string }

// questions returns the queries with Grafana's variables filled in: those of panels and variables, which have to have an
// answer, and those of annotations, which may have none.
func questions(t *testing.T) (panels, marks []question) {
	text, err := os.ReadFile("../deploy/grafana/dashboard.json")
	require.NoError(t, err)
	var d dashboard
	require.NoError(t, json.Unmarshal(text, &d))
	fill := strings.NewReplacer("$job", "reporterd", "$instance", ".+", "$__rate_interval", "3s", "$__range", "10s")
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			panels = append(panels, question{p.Title, fill.Replace(target.Expr)})
		}
		assert.True(t, p.Type == "row" || len(p.Targets) > 0, "panel %s asks for nothing", p.Title)
	}
	for _, v := range d.Templating.List {
		if found := regexp.MustCompile(`label_values\((.+), \w+\)`).FindSubmatch(v.Query); found != nil {
			panels = append(panels, question{"$" + v.Name, fill.Replace(strings.ReplaceAll(string(found[1]), `\"`, `"`))})
		}
	}
	for _, a := range d.Annotations.List {
		marks = append(marks, question{a.Name, fill.Replace(a.Expr)})
	}
	return panels, marks
}

// TestDashboard evaluates each query of the dashboard with a real Prometheus, over what it scraped of a daemon with a
// disk and of a replica, both under every kind of load. None may be empty.
func TestDashboard(t *testing.T) {
	panels, marks := questions(t)
	require.NotEmpty(t, panels)
	instances := []string{loopback(quietPort(t)), loopback(quietPort(t))}
	rules, err := filepath.Abs("../deploy/prometheus/alerts.yaml")
	require.NoError(t, err)
	p := newPrometheus(t, rules, instances)
	b, bus := sandbox(t), oneServer(t)
	stream, monitor := usageStream(t)
	one := serve(t, newSettings(t, b.url).set("admin.listen", instances[0]).set("authorize.ttl", "1s").set("sender.negative_cache", "500ms").
		set("nats.url", stream.Conn().ConnectedUrl()).set("nats.stream", "USAGE").set("nats.monitor_urls", monitor).
		set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).set("reconcile.every", "2s"))
	other := serve(t, clustered(t, b.url, bus).set("admin.listen", instances[1]))
	mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", map[string]any{"report": map[string]any{"status": 500, "landed": true, "chance": 0.05}})
	ctx, stop := context.WithCancel(t.Context())
	loading := make(chan struct{})
	go func() { // ends with stop
		defer close(loading)
		for i := 0; ctx.Err() == nil; i++ {
			everyKind(t, one, stream, i)
			other.send(hit("1001", fmt.Sprintf("bulk%d", i%50+1)))
			pause(ctx, 20*time.Millisecond)
		}
	}()
	began, missing := time.Now(), panels
	for ; len(missing) > 0 && time.Since(began) < 30*time.Second; pause(ctx, 200*time.Millisecond) {
		missing = slices.DeleteFunc(slices.Clone(missing), func(q question) bool {
			return slices.ContainsFunc(p.query(q.expr), func(s sample) bool { return !math.IsNaN(s.value) })
		})
	}
	for _, m := range marks {
		p.query(m.expr)
	}
	stop()
	<-loading
	for _, q := range missing {
		t.Errorf("%s shows nothing: %s", q.where, q.expr)
	}
	t.Logf("%d queries, each with an answer after %v", len(panels), time.Since(began).Round(10*time.Millisecond))
}

// usageStream is a JetStream stream for usage, and the monitoring address of its server.
func usageStream(t *testing.T) (stream jetstream.JetStream, monitor string) {
	s, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: -1, HTTPHost: "127.0.0.1", HTTPPort: -1,
		JetStream: true, StoreDir: t.TempDir(), NoLog: true, NoSigs: true})
	require.NoError(t, err)
	s.Start()
	t.Cleanup(func() { s.Shutdown(); s.WaitForShutdown() })
	require.True(t, s.ReadyForConnections(10*time.Second))
	conn, err := nats.Connect(s.ClientURL())
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	stream, err = jetstream.New(conn)
	require.NoError(t, err)
	_, err = stream.CreateStream(t.Context(), jetstream.StreamConfig{Name: "USAGE", Subjects: []string{"usage.>"}})
	require.NoError(t, err)
	return stream, "http://" + s.MonitorAddr().String()
}

// everyKind sends one of everything a daemon takes, and refuses.
func everyKind(t *testing.T, d *daemon, stream jetstream.JetStream, i int) {
	d.send(event{ServiceID: "1001", AppID: "app2", Usage: map[string]uint64{"hits": 1}, ID: fmt.Sprint(i / 2)})
	d.send(event{ServiceID: "1002", UserKey: "ukey1", Usage: map[string]uint64{"hits": 1}})
	d.offer(event{ServiceID: "none", AppID: "app2", Usage: map[string]uint64{"hits": 1}})
	if i%20 == 0 {
		d.send(hit("1001", fmt.Sprint("ghost-", i)))
		mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil)
	}
	query := url.Values{"service_id": {"1001"}, "service_token": {"stoken1001"}, "usage[hits]": {"1"}}
	for path, app := range map[string]string{"authorize": fmt.Sprint("ghost-", i), "authrep": "app2"} {
		query.Set("app_id", app)
		_, err := call(testClient, http.MethodGet, d.traffic+"/transactions/"+path+".xml?"+query.Encode(), "", nil)
		assert.NoError(t, err)
	}
	query.Del("usage[hits]")
	query.Set("transactions[0][app_id]", "app2")
	query.Set("transactions[0][usage][hits]", "1")
	_, err := call(testClient, http.MethodPost, d.traffic+"/transactions.xml", "application/x-www-form-urlencoded", []byte(query.Encode()))
	assert.NoError(t, err)
	for _, message := range []string{`{"app_id":"app2","usage":{"hits":1}}`, `{"app_id"`} {
		_, err := stream.Publish(t.Context(), "usage.1001", []byte(message))
		assert.NoError(t, err)
	}
}
