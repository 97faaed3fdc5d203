package console_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/console"
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
		`reporterd_lane_batches{state="flowing"} 1`,
		`reporterd_report_answers_total{status="none",verdict="retry"} 1`,
		"reporterd_report_saturated_seconds_total 1.5",
		`reporterd_dead_letters_total{reason="application_not_found"} 2`,
		`reporterd_dead_letter_events_total{reason="application_not_found"} 6`,
		"reporterd_events_accepted_newest_timestamp_seconds 1.7900001e+09",
		"reporterd_events_delivered_newest_timestamp_seconds 1.79e+09",
		"reporterd_clock_skew_seconds -3",
		`reporterd_config_reloads_total{outcome="done"} 2`,
		`reporterd_service_lanes{service_id="1001",state="flowing"} 1`,
		`reporterd_service_lanes{service_id="1001",state="held"} 0`,
		`reporterd_service_events_delivered_total{service_id="1001"} 890`,
		`reporterd_service_batches{service_id="other"} 0`,
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

// Without anything to say there is nothing about 1970, and everything an alert needs to clear.
func TestMetricsOfAnIdleDaemon(t *testing.T) {
	o := options()
	o.Snapshot = func(int) console.Snapshot { return console.Snapshot{} }
	lines := ours(ask(t, o, "GET", "/metrics").Body.String())
	for _, line := range lines {
		assert.NotContains(t, line, "newest_timestamp")
	}
	assert.Contains(t, lines, `reporterd_lanes{state="held"} 0`)
	assert.Contains(t, lines, `reporterd_service_lanes{service_id="other",state="held"} 0`)
}

// Five hundred configured services and as many that producers made up share a bounded number of series, and
// none of their usage is left out.
func TestServicesDoNotMakeSeriesWithoutEnd(t *testing.T) {
	series := func(services int) (lines []string) {
		o := options()
		s := console.Snapshot{Others: console.Ended{Delivered: 3}, Ledger: &console.Ledger{Usage: []console.MetricUsage{{ServiceID: "1000", Units: 4}, {ServiceID: "made-up", Metric: "made-up", Units: 1}}}}
		for i := range services {
			id := fmt.Sprint(1000 + i)
			s.Ledger.Usage = append(s.Ledger.Usage, console.MetricUsage{ServiceID: id, Metric: "hits", Units: 7})
			s.Services = append(s.Services, console.Service{ID: id, Ended: console.Ended{Delivered: 2}})
			s.Lanes = append(s.Lanes,
				console.Lane{ServiceID: id, State: "held", Events: 10},
				console.Lane{ServiceID: id, State: "flowing", Events: 1, PassedOn: true},
				console.Lane{ServiceID: "made-up-" + id, State: "flowing", Events: 1, PassedOn: true})
		}
		o.Snapshot = func(int) console.Snapshot { return s }
		return ours(ask(t, o, "GET", "/metrics").Body.String())
	}
	few, many := series(100), series(500)
	assert.Len(t, many, len(few), "services beyond the first hundred add no series")
	assert.Contains(t, many, `reporterd_service_events{service_id="1000"} 10`)
	assert.Contains(t, many, `reporterd_service_lanes{service_id="1099",state="held"} 1`)
	assert.Contains(t, many, `reporterd_service_lanes{service_id="other",state="held"} 400`)
	assert.Contains(t, many, `reporterd_service_events{service_id="other"} 5000`)
	assert.Contains(t, many, `reporterd_service_events_delivered_total{service_id="other"} 803`)
	assert.Contains(t, many, `reporterd_service_usage_delivered_total{metric="hits",service_id="1000"} 7`)
	assert.Contains(t, many, `reporterd_service_usage_delivered_total{metric="other",service_id="1000"} 4`)
	assert.Contains(t, many, `reporterd_service_usage_delivered_total{metric="other",service_id="other"} 2801`)
	for _, line := range many {
		assert.NotContains(t, line, "made-up", "a producer's words are no label")
	}
}

// TestOnlyAScrapeEndsItsSpan: a figure of the time since the last scrape is not spent by the page, health checks or
// systemd's line of status, which read the same snapshot.
func TestOnlyAScrapeEndsItsSpan(t *testing.T) {
	o, scraped := options(), 0
	o.Scraped = func() { scraped++ }
	c := console.New(o)
	for _, path := range []string{"/api/v1/status", "/readyz?verbose", "/livez?verbose", "/readyz"} {
		c.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, path, nil))
	}
	assert.Zero(t, scraped)
	c.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/metrics", nil))
	assert.Equal(t, 1, scraped)
}
