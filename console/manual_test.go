package console

import (
	cmdline "flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

//go:generate go test . -run ^TestMetricsManual$ -update

var update = cmdline.Bool("update", false, "rewrite the generated manual")

const manualFile = "../docs/metrics.md"

const preface = `# Metrics

<!-- Generated from the registered collectors by "go generate ./console"; a test compares. -->

` + "`GET /metrics`" + ` on the admin listener, in Prometheus' text format. All figures of one scrape belong together.

The counters of events are those of the data directory and survive restarts; all other counters begin at zero when
the daemon starts. At every scrape, across restarts:

` + "```" + `
reporterd_events_accepted_total = reporterd_events_delivered_total + reporterd_events_dead_total
                                + reporterd_events_pending + reporterd_events_lost_total
` + "```" + `

The number of series is limited: labels with words of producers, applications or the backend have a maximum number of
values. Of services the first 100 of the configuration are named; the rest share
` + "`service_id=\"other\"`" + `.

## reporterd

| name | type | unit | labels | what it is |
| --- | --- | --- | --- | --- |
`

// complete is a snapshot in which every label has a value.
var complete = Snapshot{
	Spool:    Spool{ReadErrors: map[string]uint64{"journal": 1}},
	Latest:   Latest{Accepted: 1, Delivered: 1},
	Services: []Service{{ID: "1001"}},
	Traffic:  []Traffic{{Transport: "events", Requests: map[int]uint64{202: 1}}},
	Reports: Reports{
		Verdicts: map[string]uint64{"delivered": 1}, Answers: []Answers{{Verdict: "delivered", Status: "202"}},
		Dead: map[string]Buried{"expired": {}},
	},
	NATS:      NATS{Unsynced: new(time.Duration), Refused: map[string]uint64{"invalid_message": 1}, Stream: map[string]uint64{"acknowledged": 1}},
	Cluster:   &Cluster{},
	Ledger:    &Ledger{Earliest: 1},
	Reconcile: &Reconcile{Cells: map[string]int{"match": 1}, SealedThrough: 1, ObservedAt: 1},
	Gate: &Gate{
		Answers: map[string]map[int]uint64{"nginx": {200: 1}}, Services: map[string]int{"file": 1}, Rules: map[string]int{"file": 1}, PortalRead: 1,
	},
	Authorize: Authorize{Answers: map[string]uint64{"cache": 1}, Denied: map[string]uint64{"limits_exceeded": 1}},
}

// TestMetricsManual holds docs/metrics.md against what is registered.
func TestMetricsManual(t *testing.T) {
	o := Options{Started: time.Unix(0, 0), Snapshot: func(int) Snapshot { return complete }}
	families, err := newRegistry(o).Gather()
	require.NoError(t, err)
	lines, others := map[string]string{}, ""
	for _, f := range families {
		kind := strings.ToLower(f.GetType().String())
		if !strings.HasPrefix(f.GetName(), "reporterd_") {
			others += fmt.Sprintf("| `%s` | %s | %s |\n", f.GetName(), kind, cell(f.GetHelp()))
			continue
		}
		labels := map[string]bool{}
		for _, m := range f.GetMetric() {
			for _, l := range m.GetLabel() {
				labels["`"+l.GetName()+"`"] = true
			}
		}
		lines[f.GetName()] = fmt.Sprintf("| `%s` | %s | %s | %s | %s |\n", f.GetName(), kind, unit(f.GetName()),
			strings.Join(slices.Sorted(maps.Keys(labels)), ", "), cell(f.GetHelp()))
	}
	own := lines["reporterd_build_info"] + lines["reporterd_start_time_seconds"]
	for _, f := range all() { // in their order, which is by what they are about
		assert.NotEmpty(t, lines[f.name], "%s: complete has nothing of it, or nothing comes of it", f.name)
		own += lines[f.name]
	}
	want := preface + own + "\n## Go and the process\n\n| name | type | what it is |\n| --- | --- | --- |\n" + others
	if *update {
		require.NoError(t, os.WriteFile(manualFile, []byte(want), 0o644))
	}
	got, err := os.ReadFile(manualFile)
	require.NoError(t, err)
	assert.Equal(t, want, string(got), "out of date: go generate ./console")
}

func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }

// unit is what a name says it counts.
func unit(name string) string {
	if strings.Contains(name, "_events_") && !strings.HasSuffix(name, "_seconds") {
		return "events"
	}
	words := strings.Split(strings.TrimSuffix(name, "_total"), "_")
	switch last := words[len(words)-1]; last {
	case "bytes", "seconds", "ratio", "events", "transactions", "batches", "segments", "lanes", "services", "messages", "letters", "calls", "requests", "groups", "cuts":
		return last
	}
	return ""
}
