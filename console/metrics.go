package console

import (
	"maps"
	"net/http"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// family is one metric. Names and labels are API. No label's values come from outside: there is none for
// services or applications, whose number has no bound.
type family struct {
	kind  prometheus.ValueType
	name  string
	help  string
	label string // its one label; empty: none
	value func(s *Snapshot) float64
	each  func(s *Snapshot, put func(label string, value float64)) // instead of value, with a label
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// families are what GET /metrics publishes besides the labelled figures of ingest, reporterd_spool_fsync_seconds, reporterd_build_info and Go's own
// figures. The events' counters are those of the data directory and survive restarts; all others begin
// at zero when the daemon starts.
var families = []family{
	{kind: counter, name: "reporterd_events_accepted_total", help: "Events acknowledged. accepted = delivered + dead + pending + lost.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Accepted) }},
	{kind: counter, name: "reporterd_events_duplicate_total", help: "Events acknowledged as already known by their id, not counted as accepted.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Duplicates) }},
	{kind: counter, name: "reporterd_events_delivered_total", help: "Events the backend took.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Delivered) }},
	{kind: counter, name: "reporterd_events_dead_total", help: "Events kept as dead letters.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Dead) }},
	{kind: counter, name: "reporterd_events_ambiguous_total", help: "Events in reports whose outcome was unknown, once for each such report.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Ambiguous) }},
	{kind: counter, name: "reporterd_events_lost_total", help: "Events taken by a damaged disk.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Lost) }},
	{kind: gauge, name: "reporterd_events_pending", help: "Events on disk, on their way.",
		value: func(s *Snapshot) float64 { return float64(s.Events.Pending) }},

	{kind: gauge, name: "reporterd_spool_bytes", help: "Bytes the data directory takes.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Bytes) }},
	{kind: gauge, name: "reporterd_spool_quota_bytes", help: "Bytes it may take.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Quota) }},
	{kind: gauge, name: "reporterd_spool_free_bytes", help: "Bytes that can still be accepted: the least of quota and disk.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Free) }},
	{kind: gauge, name: "reporterd_spool_quarantined_bytes", help: "Bytes set aside as damaged.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Quarantined) }},
	{kind: gauge, name: "reporterd_spool_batches", help: "Batches sealed and not resolved.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Batches) }},
	{kind: gauge, name: "reporterd_spool_segments", help: "Segment files.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.Segments) }},
	{kind: gauge, name: "reporterd_spool_oldest_age_seconds", help: "Age of the oldest pending event. The backend refuses usage of more than 86400.",
		value: func(s *Snapshot) float64 { return s.Spool.OldestAge.Seconds() }},
	{kind: gauge, name: "reporterd_spool_sync_info", help: "1 for the sync mode in force.", label: "mode",
		each: func(s *Snapshot, put func(string, float64)) { put(s.Spool.Sync, 1) }},

	{kind: gauge, name: "reporterd_spool_dead_letters", help: "Dead letter files.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.DeadLetters) }},
	{kind: gauge, name: "reporterd_spool_ids", help: "Event ids remembered.",
		value: func(s *Snapshot) float64 { return float64(s.Spool.IDs) }},

	{kind: counter, name: "reporterd_commit_groups_total", help: "Group commits of the journal.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Groups) }},
	{kind: counter, name: "reporterd_commit_events_total", help: "Events in them.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Events) }},
	{kind: counter, name: "reporterd_commit_bytes_total", help: "Bytes of them.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Bytes) }},
	{kind: counter, name: "reporterd_commit_failed_total", help: "Groups refused because the disk failed.",
		value: func(s *Snapshot) float64 { return float64(s.Commits.Failed) }},
	{kind: gauge, name: "reporterd_window_transactions", help: "Transactions being aggregated.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Transactions) }},
	{kind: gauge, name: "reporterd_window_events", help: "Events summed in them.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Events) }},
	{kind: counter, name: "reporterd_cuts_total", help: "Cuts of the window.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Cuts) }},
	{kind: counter, name: "reporterd_cut_batches_total", help: "Batches sealed by them.",
		value: func(s *Snapshot) float64 { return float64(s.Window.Batches) }},
	{kind: gauge, name: "reporterd_cut_last_seconds", help: "How long the last one took.",
		value: func(s *Snapshot) float64 { return s.Window.LastCut.Seconds() }},

	{kind: counter, name: "reporterd_report_calls_total", help: "Report calls made to the backend.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Calls) }},
	{kind: counter, name: "reporterd_report_transactions_total", help: "Transactions delivered by them.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Transactions) }},
	{kind: gauge, name: "reporterd_report_in_flight", help: "Report calls without an answer yet.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.InFlight) }},
	{kind: counter, name: "reporterd_report_verdicts_total", help: "Attempts by how they were judged.", label: "verdict",
		each: func(s *Snapshot, put func(string, float64)) {
			for _, v := range slices.Sorted(maps.Keys(s.Reports.Verdicts)) {
				put(v, float64(s.Reports.Verdicts[v]))
			}
		}},
	{kind: gauge, name: "reporterd_lanes", help: "Lanes by state.", label: "state", each: lanesByState},
}

// all are the families of this file and of the others.
func all() []family { return slices.Concat(families, deliveries, messages, authorizations) }

// lanesByState gives every state a value, so that an alert on held lanes clears at zero.
func lanesByState(s *Snapshot, put func(string, float64)) {
	count := map[string]float64{"flowing": 0, "retrying": 0, "held": 0, "draining": 0}
	for _, l := range s.Lanes {
		count[l.State]++
	}
	for _, state := range slices.Sorted(maps.Keys(count)) {
		put(state, count[state])
	}
}

var (
	fsyncSeconds = prometheus.NewDesc("reporterd_spool_fsync_seconds", "How long the fsyncs of all logs took.", nil, nil)
	requests     = prometheus.NewDesc("reporterd_ingest_requests_total",
		"Requests of producers by transport and status of the answer.", []string{"transport", "status"}, nil)
	ingestEvents = prometheus.NewDesc("reporterd_ingest_events_total",
		"Events acknowledged by transport, duplicates included.", []string{"transport"}, nil)
	ingestBytes = prometheus.NewDesc("reporterd_ingest_bytes_total",
		"Bytes of acknowledged bodies by transport, expanded.", []string{"transport"}, nil)
	started = prometheus.NewDesc("reporterd_start_time_seconds", "When the daemon started, Unix seconds.", nil, nil)
)

// collector reads one snapshot for each scrape, so that the figures of a scrape belong together.
type collector struct {
	options  Options
	families []family
	descs    []*prometheus.Desc // beside families
}

func newMetrics(o Options) http.Handler {
	c := &collector{options: o, families: all()}
	for _, f := range c.families {
		var labels []string
		if f.label != "" {
			labels = []string{f.label}
		}
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, labels, nil))
	}
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "reporterd_build_info", Help: "1, with what was built.",
		ConstLabels: prometheus.Labels{"version": o.Build.Version, "commit": o.Build.Commit, "goversion": o.Build.Go},
	})
	build.Set(1)
	registry := prometheus.NewRegistry()
	registry.MustRegister(c, build, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 8})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range append(c.descs, fsyncSeconds, askSeconds, requests, ingestEvents, ingestBytes, started) {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.options.Snapshot()
	for i, f := range c.families {
		if f.value != nil {
			out <- prometheus.MustNewConstMetric(c.descs[i], f.kind, f.value(&s))
			continue
		}
		f.each(&s, func(label string, value float64) {
			out <- prometheus.MustNewConstMetric(c.descs[i], f.kind, value, label)
		})
	}
	out <- prometheus.MustNewConstMetric(started, gauge, float64(c.options.Started.UnixMilli())/1000)
	out <- s.Spool.Fsyncs.metric(fsyncSeconds)
	out <- s.Authorize.Calls.metric(askSeconds)
	for _, t := range s.Traffic {
		t.collect(out)
	}
}

func (t Traffic) collect(out chan<- prometheus.Metric) {
	for status, n := range t.Requests {
		out <- prometheus.MustNewConstMetric(requests, counter, float64(n), t.Transport, strconv.Itoa(status))
	}
	out <- prometheus.MustNewConstMetric(ingestEvents, counter, float64(t.Events), t.Transport)
	out <- prometheus.MustNewConstMetric(ingestBytes, counter, float64(t.Bytes), t.Transport)
}

func (d Durations) metric(desc *prometheus.Desc) prometheus.Metric {
	buckets := make(map[float64]uint64, len(d.Bounds))
	for i, bound := range d.Bounds {
		buckets[bound] = d.Counts[i]
	}
	return prometheus.MustNewConstHistogram(desc, d.Count, d.Sum.Seconds(), buckets)
}
