package console

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

const (
	alertsDir        = "../deploy/prometheus"
	runbook          = "https://github.com/reporterd/reporterd/blob/main/docs/operating.md#"
	promtoolVariable = "REPORTERD_PROMTOOL" // Prometheus' own tools, from Debian's package
)

// alert is one of alerts.yaml.
type alert struct {
	Alert, Expr, For string
	Labels           map[string]string
	Annotations      map[string]string
}

func alerts(t *testing.T) (all []alert) {
	text, err := os.ReadFile(alertsDir + "/alerts.yaml")
	require.NoError(t, err)
	var file struct{ Groups []struct{ Rules []alert } }
	require.NoError(t, yaml.Unmarshal(text, &file))
	for _, g := range file.Groups {
		all = append(all, g.Rules...)
	}
	require.NotEmpty(t, all)
	return all
}

// exported are the names a scrape has, those of a histogram's parts included.
func exported(t *testing.T) map[string]bool {
	o := Options{Started: time.Unix(0, 0), Snapshot: func(int) Snapshot { return complete }}
	families, err := newRegistry(o).Gather()
	require.NoError(t, err)
	names := map[string]bool{"up": true} // Prometheus' own
	for _, f := range families {
		names[f.GetName()] = true
		if f.GetType().String() == "HISTOGRAM" {
			names[f.GetName()+"_bucket"], names[f.GetName()+"_sum"], names[f.GetName()+"_count"] = true, true, true
		}
	}
	return names
}

var metricName = regexp.MustCompile(`\b(?:reporterd|process|go)_[a-z_]+\b`)

// TestAlerts: each alert asks for metrics that exist, says how bad it is, and leads to what to do about it,
// which is written, and names metrics that exist, too.
func TestAlerts(t *testing.T) {
	page, err := os.ReadFile("../docs/operating.md")
	require.NoError(t, err)
	tests, err := os.ReadFile(alertsDir + "/alerts_test.yaml")
	require.NoError(t, err)
	names := exported(t)
	known := map[string]bool{}
	for _, a := range alerts(t) {
		known[a.Alert] = true
		for _, name := range metricName.FindAllString(a.Expr, -1) {
			assert.True(t, names[name], "%s: %s is no metric", a.Alert, name)
		}
		assert.Contains(t, []string{"critical", "warning"}, a.Labels["severity"], a.Alert)
		assert.NotEmpty(t, a.Annotations["summary"], a.Alert)
		assert.NotEmpty(t, a.Annotations["description"], a.Alert)
		assert.Equal(t, runbook+strings.ToLower(a.Alert), a.Annotations["runbook_url"], a.Alert)
		_, section, ok := strings.Cut(string(page), "\n### "+a.Alert+"\n")
		require.True(t, ok, "docs/operating.md has no section %s", a.Alert)
		section, _, _ = strings.Cut(section, "\n##")
		for _, part := range []string{"**Means**", "**See**", "**Do**"} {
			assert.Contains(t, section, part, "docs/operating.md, %s", a.Alert)
		}
		assert.Contains(t, string(tests), "name: "+a.Alert+"\n", "alerts_test.yaml does not try it")
	}
	rules, err := os.ReadFile(alertsDir + "/rules.yaml")
	require.NoError(t, err)
	for line := range strings.Lines(string(rules)) {
		if _, expr, is := strings.Cut(line, "expr: "); is {
			for _, name := range metricName.FindAllString(expr, -1) {
				assert.True(t, names[name], "rules.yaml: %s is no metric", name)
			}
		}
	}
	for _, name := range metricName.FindAllString(string(page), -1) {
		assert.True(t, names[name], "docs/operating.md: %s is no metric", name)
	}
	for _, name := range regexp.MustCompile(`\bReporterd[A-Z]\w+`).FindAllString(string(page), -1) {
		assert.True(t, known[name], "docs/operating.md: %s is no alert", name)
	}
}

// TestAlertRules has Prometheus' own tool read the alerts and see each fire and clear.
func TestAlertRules(t *testing.T) {
	if os.Getenv(promtoolVariable) == "" {
		t.Skipf("needs promtool (Debian's package prometheus): %s=1", promtoolVariable)
	}
	for _, args := range [][]string{
		{"check", "config", "prometheus.yaml"}, {"check", "config", "--syntax-only", "../compose/prometheus.yaml"},
		{"check", "rules", "rules.yaml"}, {"test", "rules", "alerts_test.yaml"},
	} {
		cmd := exec.Command("promtool", args...)
		cmd.Dir = alertsDir
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		t.Logf("promtool %s: %s", strings.Join(args, " "), out)
	}
}
