package console

import (
	"maps"
	"net/http"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/reporterd/reporterd/internal/histogram"
)

// family is one metric family. Names and labels are API; docs/metrics.md is generated from them. The number of label values is
// limited: services are named as far as they are configured, see service.go.
type family struct {
	kind  prometheus.ValueType // with series or value; otherwise it is a histogram
	name  string
	help  string
	label string // its one label; empty: none, or several: labels

	value  func(s *Snapshot) float64
	each   func(s *Snapshot, put func(label string, value float64)) // instead of value, with a label
	labels []string
	series func(s *Snapshot, put func(value float64, labels ...string)) // with labels

	histogram  func(s *Snapshot) histogram.Snapshot
	histograms func(s *Snapshot, put func(label string, h histogram.Snapshot)) // with a label
}

const (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// all returns the families of every file here. GET /metrics also contains reporterd_build_info, the start time, and Go's own
// metrics.
func all() []family {
	return slices.Concat(families, traffic, deliveries, receiptFamilies, services, configuration, clocks, messages, authorizations, replicas, ledgers, reconciliations, gates, sourceFamilies)
}

// names returns the names of a family's labels.
func (f *family) names() []string {
	if f.label != "" {
		return []string{f.label}
	}
	return f.labels
}

// collect emits a snapshot's figures of the family.
func (f *family) collect(s *Snapshot, d *prometheus.Desc, out chan<- prometheus.Metric) {
	put := func(value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, f.kind, value, labels...)
	}
	switch {
	case f.value != nil:
		put(f.value(s))
	case f.each != nil:
		f.each(s, func(label string, value float64) { put(value, label) })
	case f.series != nil:
		f.series(s, put)
	case f.histogram != nil:
		out <- constHistogram(d, f.histogram(s))
	case f.histograms != nil:
		f.histograms(s, func(label string, h histogram.Snapshot) { out <- constHistogram(d, h, label) })
	}
}

func constHistogram(d *prometheus.Desc, h histogram.Snapshot, labels ...string) prometheus.Metric {
	buckets := make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		buckets[bound] = h.Counts[i]
	}
	return prometheus.MustNewConstHistogram(d, h.Count, h.Sum, buckets, labels...)
}

// collector reads one snapshot for each scrape, so that the figures of a scrape are consistent.
type collector struct {
	snapshot func(lanes int) Snapshot
	scraped  func()
	families []family
	descs    []*prometheus.Desc // of families
}

func newCollector(o Options) *collector {
	c := &collector{snapshot: o.Snapshot, scraped: o.Scraped, families: all()}
	for i := range c.families {
		f := &c.families[i]
		c.descs = append(c.descs, prometheus.NewDesc(f.name, f.help, f.names(), nil))
	}
	return c
}

// newRegistry contains everything that GET /metrics publishes.
func newRegistry(o Options) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "reporterd_build_info", Help: "1, labelled with the version.",
		ConstLabels: prometheus.Labels{"version": o.Build.Version, "commit": o.Build.Commit, "goversion": o.Build.Go},
	})
	build.Set(1)
	started := prometheus.NewGauge(prometheus.GaugeOpts{Name: "reporterd_start_time_seconds", Help: "When the daemon started, Unix seconds."})
	started.Set(float64(o.Started.UnixMilli()) / 1000)
	registry := prometheus.NewRegistry()
	registry.MustRegister(newCollector(o), build, started,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return registry
}

func newMetrics(o Options) http.Handler {
	return promhttp.HandlerFor(newRegistry(o), promhttp.HandlerOpts{MaxRequestsInFlight: 8})
}

// Describe implements prometheus.Collector.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	s := c.snapshot(0)
	if c.scraped != nil {
		c.scraped()
	}
	for i := range c.families {
		c.families[i].collect(&s, c.descs[i], out)
	}
}

func flag(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

func each(m map[string]uint64, put func(string, float64)) {
	for _, name := range slices.Sorted(maps.Keys(m)) {
		put(name, float64(m[name]))
	}
}
