package console_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ours are the lines of the exposition that are not Go's own.
func ours(body string) []string {
	var lines []string
	for line := range strings.Lines(body) {
		if strings.HasPrefix(line, "reporterd_") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

func TestMetrics(t *testing.T) {
	w := ask(t, options(), "GET", "/metrics")
	require.Equal(t, http.StatusOK, w.Code)
	lines := ours(w.Body.String())
	for _, want := range []string{
		"reporterd_events_accepted_total 1000",
		"reporterd_events_duplicate_total 7",
		"reporterd_events_delivered_total 890",
		"reporterd_events_dead_total 6",
		"reporterd_events_pending 100",
		"reporterd_events_ambiguous_total 5",
		"reporterd_events_lost_total 4",
		"reporterd_spool_oldest_age_seconds 2.1",
		`reporterd_spool_sync_info{mode="always"} 1`,
		`reporterd_spool_fsync_seconds_bucket{le="0.001"} 6`,
		`reporterd_spool_fsync_seconds_bucket{le="0.01"} 9`,
		`reporterd_spool_fsync_seconds_bucket{le="+Inf"} 10`,
		"reporterd_spool_fsync_seconds_sum 0.05",
		"reporterd_report_calls_total 4",
		`reporterd_report_verdicts_total{verdict="delivered"} 3`,
		`reporterd_lanes{state="flowing"} 1`,
		`reporterd_lanes{state="held"} 0`,
		`reporterd_ingest_requests_total{status="202",transport="events"} 9`,
		`reporterd_build_info{commit="abc",goversion="go1.26",version="1.2.3"} 1`,
	} {
		assert.Contains(t, lines, want)
	}
	assert.Contains(t, w.Body.String(), "go_goroutines")
}

func TestMetricsFollowPrometheusConventions(t *testing.T) {
	w := ask(t, options(), "GET", "/metrics")
	problems, err := promlint.New(w.Body).Lint()
	require.NoError(t, err)
	assert.Empty(t, problems)
}

// A hundred services must not make a hundred series.
func TestMetricsHaveNoLabelFromOutside(t *testing.T) {
	for _, line := range ours(ask(t, options(), "GET", "/metrics").Body.String()) {
		assert.NotContains(t, line, "1001")
	}
}
