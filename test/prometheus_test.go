package test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// prometheusVariable turns on what needs Prometheus: Debian's package of that name.
const prometheusVariable = "REPORTERD_PROMETHEUS"

// scrapeEvery is how often every daemon is scraped, and the rules are evaluated.
const scrapeEvery = 200 * time.Millisecond

// prometheus is a real one that scrapes daemons.
type prometheus struct {
	t   testing.TB
	url string

	mu     sync.Mutex                 // guards what follows
	firing map[string]map[string]bool // instance → alerts that fire there
}

// sample is one series of a query's answer.
type sample struct {
	labels map[string]string
	value  float64
}

// newPrometheus starts one that scrapes admin listeners at the given addresses, which need not answer yet.
func newPrometheus(t testing.TB, rules string, instances []string) *prometheus {
	t.Helper()
	if os.Getenv(prometheusVariable) == "" {
		t.Skipf("needs Prometheus (Debian's package prometheus): %s=1", prometheusVariable)
	}
	dir := t.TempDir()
	config, err := json.Marshal(map[string]any{ // JSON is YAML, too
		"global":     map[string]any{"scrape_interval": scrapeEvery.String(), "scrape_timeout": scrapeEvery.String(), "evaluation_interval": scrapeEvery.String()},
		"rule_files": []string{rules},
		"scrape_configs": []any{map[string]any{
			"job_name": "reporterd", "static_configs": []any{map[string]any{"targets": instances}},
		}},
	})
	require.NoError(t, err)
	file := filepath.Join(dir, "prometheus.yaml")
	require.NoError(t, os.WriteFile(file, config, 0o600))
	p := &prometheus{t: t, firing: map[string]map[string]bool{}}
	address := loopback(quietPort(t))
	p.url = "http://" + address
	start(t, exec.Command("prometheus", "--config.file="+file, "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+address, "--log.level=warn"))
	eventually(t, 30*time.Second, "Prometheus is ready", func() bool {
		got, err := call(testClient, http.MethodGet, p.url+"/-/ready", "", nil)
		return err == nil && got.status == http.StatusOK
	})
	return p
}

// query evaluates an expression now.
func (p *prometheus) query(expr string) []sample {
	p.t.Helper()
	got := read[struct {
		Data struct {
			Result []struct {
				Metric map[string]string
				Value  [2]any
			}
		}
	}](p.t, mustCall(p.t, http.StatusOK, http.MethodGet, p.url+"/api/v1/query?query="+url.QueryEscape(expr), nil))
	var all []sample
	for _, r := range got.Data.Result {
		text, _ := r.Value[1].(string)
		value, err := strconv.ParseFloat(text, 64)
		require.NoError(p.t, err)
		all = append(all, sample{r.Metric, value})
	}
	return all
}

// watch keeps what fires where, until ctx ends. The series ALERTS does not tell: Prometheus drops the mark of an alert's end without a
// word if it has the time of an earlier sample, as on a busy machine, and shows the alert for five more minutes.
func (p *prometheus) watch(ctx context.Context) {
	for ; ctx.Err() == nil; pause(ctx, scrapeEvery/2) {
		now := map[string]map[string]bool{}
		active := read[struct {
			Data struct {
				Alerts []struct {
					Labels map[string]string
					State  string
				}
			}
		}](p.t, mustCall(p.t, http.StatusOK, http.MethodGet, p.url+"/api/v1/alerts", nil))
		for _, a := range active.Data.Alerts {
			instance := a.Labels["instance"]
			if now[instance] == nil {
				now[instance] = map[string]bool{}
			}
			now[instance][a.Labels["alertname"]] = a.State == "firing"
		}
		p.mu.Lock()
		p.firing = now
		p.mu.Unlock()
	}
}

// fires reports whether an alert does.
func (p *prometheus) fires(instance, alert string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.firing[instance][alert]
}
