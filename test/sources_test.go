package test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sourceEntry is an entry of sources.yaml, in JSON, which is YAML.
func sourceEntry(t *testing.T, token string, fields map[string]any) map[string]any {
	t.Helper()
	sum := sha256.Sum256([]byte(token))
	fields["token_sha256"] = hex.EncodeToString(sum[:])
	return fields
}

func writeSources(t *testing.T, file string, entries ...map[string]any) {
	t.Helper()
	text, err := json.MarshalIndent(map[string]any{"sources": entries}, "", "  ")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
}

// sourceAnswer is what a dashboard reads.
type sourceAnswer struct {
	Stale   bool
	Reason  string
	Columns []struct{ Name, Type string }
	Rows    []map[string]any
}

// TestSources walks from a file to a dashboard: what was sent is read as a table at an address with a token of its own, from the
// ledger, from 3scale and from both, on a listener that serves nothing else, after a reload, a restart, and with 3scale away.
func TestSources(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	s := newSettings(t, b.url).set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).
		set("reader.listen", "127.0.0.1:0").set("reader.cors_origins", "https://dashboards.example.com")
	config := s.write(t)
	file := filepath.Join(filepath.Dir(config), "sources.yaml")
	usage := func(name, from string) map[string]any {
		return sourceEntry(t, "secret-"+name, map[string]any{
			"name": name, "question": "service_usage", "from": from, "service": "1001", "metric": "hits", "since": "{date.add(-1).format()}", "refresh": "1m",
		})
	}
	ours := usage("ours", "ledger")
	ours["refresh"] = "10s"
	top := sourceEntry(t, "secret-top", map[string]any{"name": "top", "question": "top_applications", "service": "1001", "metric": "hits", "refresh": "10s", "columns": map[string]string{"value": "hits"}})
	stock := sourceEntry(t, "secret-stock", map[string]any{
		"name": "stock", "from": "3scale", "path": "/stats/services/1001/usage.json?metric_name=hits&since={date.add(-30).format()}&period=month&granularity=day",
	})
	writeSources(t, file, ours, top, stock, sourceEntry(t, "secret-apps", map[string]any{"name": "apps", "question": "applications", "from": "both"}))
	d := launch(t, config)
	d.ready()
	reader := "http://" + d.await("reader")
	for app, hits := range map[string]uint64{"app1": 40, "app2": 2} {
		d.send(event{ServiceID: "1001", AppID: app, Usage: map[string]uint64{"hits": hits}})
	}
	d.drained(10 * time.Second)
	d.booked()
	get := func(name, token string) sourceAnswer {
		got, err := call(testClient, http.MethodGet, reader+"/sources/"+name+".json?access_token="+token, "", nil)
		require.NoError(t, err)
		if got.status != http.StatusOK {
			return sourceAnswer{Reason: got.body}
		}
		return read[sourceAnswer](t, got)
	}
	total := func(a sourceAnswer, column string) (sum float64) {
		for _, row := range a.Rows {
			v, _ := row[column].(float64)
			sum += v
		}
		return sum
	}
	eventually(t, 30*time.Second, "the ledger's answers have what was sent", func() bool {
		return total(get("ours", "secret-ours"), "value") == 42 && total(get("top", "secret-top"), "hits") == 42
	})
	first := get("ours", "secret-ours")
	assert.Equal(t, []struct{ Name, Type string }{{"time", "time"}, {"value", "integer"}}, first.Columns)
	assert.Len(t, first.Rows, 2, "yesterday and today")
	assert.Equal(t, "app1", get("top", "secret-top").Rows[0]["application"])
	eventually(t, 20*time.Second, "3scale's answers are there", func() bool {
		return len(get("stock", "secret-stock").Rows) >= 28 && len(get("apps", "secret-apps").Rows) > 5
	})

	for _, path := range []string{"/", "/metrics", "/api/v1/status", "/api/v1/sources", "/stats/services/1001/usage.json", "/openapi.yaml", "/sources/"} {
		mustCall(t, http.StatusNotFound, http.MethodGet, reader+path+"?access_token=secret-ours", nil)
	}
	mustCall(t, http.StatusMethodNotAllowed, http.MethodPost, reader+"/sources/ours.json?access_token=secret-ours", nil)
	mustCall(t, http.StatusUnauthorized, http.MethodGet, reader+"/sources/ours.json", nil)
	mustCall(t, http.StatusForbidden, http.MethodGet, reader+"/sources/top.json?access_token=secret-ours", nil)
	mustCall(t, http.StatusForbidden, http.MethodGet, reader+"/sources/nosuch.json?access_token=secret-ours", nil)

	t.Run("commands", func(t *testing.T) { sourceCommands(t, config) })
	t.Run("reload", func(t *testing.T) {
		writeSources(t, file, usage("both", "both"), ours, map[string]any{"name": "bad", "question": "service_usage"})
		got, err := call(testClient, http.MethodPost, d.admin+"/-/reload", "", nil)
		require.NoError(t, err)
		assert.Equal(t, http.StatusUnprocessableEntity, got.status, got.body)
		assert.Contains(t, got.body, "sources[2].service: expected a value")
		assert.Equal(t, 42., total(get("ours", "secret-ours"), "value"), "the sources of before stay")
		writeSources(t, file, usage("both", "both"), ours)
		assert.Contains(t, mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil).body, `"sources"`)
		eventually(t, 20*time.Second, "both sides are beside each other", func() bool { return len(get("both", "secret-both").Rows) == 2 })
		both := get("both", "secret-both")
		assert.Equal(t, []float64{42, 42, 0}, []float64{total(both, "value_ledger"), total(both, "value_3scale"), total(both, "value_difference")})
		mustCall(t, http.StatusForbidden, http.MethodGet, reader+"/sources/top.json?access_token=secret-top", nil)
	})
	d.signal(syscall.SIGTERM)
	require.Zero(t, d.exit(20*time.Second))
	b.kill()
	d = launch(t, config)
	d.ready()
	reader = "http://" + d.await("reader")
	again := get("both", "secret-both")
	assert.Equal(t, 42., total(again, "value_3scale"), "kept across a restart, with 3scale away: %s", again.Reason)
}

// sourceCommands: ls, show, get, test and check, and their exit statuses.
func sourceCommands(t *testing.T, config string) {
	for _, c := range []struct {
		words, want string
		status      int
	}{
		{"sources ls", " 2 ledger service_usage service=1001 metric=hits", 0},
		{"sources ls -o json", `"name":"stock"`, 0},
		{"sources show ours", "read it at /sources/ours.json, .csv, .ndjson", 0},
		{"sources show nosuch", "there is no source of this name", 2},
		{"sources get top", "application name account hits app1 ", 0},
		{"sources get top --output csv", "application,name,account,hits app1,", 0},
		{"sources get top -o json", `"application":"app1"`, 0},
		{"sources get nosuch", "there is no source of this name", 2},
		{"sources get", "takes one argument: the name of a source", 2},
		{"sources test stock", "path /stats/services/1001/usage.json?metric_name=hits&since=" + time.Now().UTC().AddDate(0, 0, -30).Format(time.DateOnly), 0},
		{"sources test ours", "time:time value:integer", 0},
		{"sources check", "sources.yaml: fine, 4 sources", 0},
		{"sources check --file /dev/null", "fine, 0 sources", 0},
	} {
		p := reporterd(t, append(strings.Fields(c.words), "--config", config)...)
		status := p.exit(20 * time.Second)
		printed := p.printed() + strings.Join(p.logged(), "\n")
		assert.Equal(t, c.status, status, "%s: %s", c.words, printed)
		assert.Contains(t, strings.Join(strings.Fields(printed), " "), c.want, c.words)
	}
	bad := filepath.Join(t.TempDir(), "sources.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("sources:\n  - name: a\n    question: acounts\n"), 0o600))
	p := reporterd(t, "sources", "check", "--file", bad)
	assert.Equal(t, 78, p.exit(10*time.Second))
	assert.Contains(t, strings.Join(p.logged(), "\n"), fmt.Sprintf("%s:3: sources[0].question: \"acounts\"", bad))
}
