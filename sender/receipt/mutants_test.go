package receipt

import (
	"cmp"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/internal/mutation"
)

// mutants are ways to conclude too early, or to read what is not there. Each old text stands once in its file.
var mutants = []struct{ name, file, old, new string }{
	{"not moved is dropped at once", "watch.go", "case w.links >= links && !seen.Before(w.linked.Add(rules.Confirm)):\n\t\treturn Dropped", "case !seen.Before(w.sent):\n\t\treturn Dropped"},
	{"a quarter of an hour whatever the worker does", "watch.go", "case w.links >= links && !seen.Before(w.linked.Add(rules.Confirm)):\n\t\treturn Dropped", "case !seen.Before(w.sent.Add(16 * time.Minute)):\n\t\treturn Dropped"},
	{"overtaken once is enough", "watch.go", "const links = 3", "const links = 1"},
	{"a failed job is not waited for twice", "watch.go", "const links = 3", "const links = 2"},
	{"links begin at the first one's sending", "watch.go", "w.links, w.linked = w.links+1, asked", "w.links, w.linked = w.links+1, sent"},
	{"one denial condemns", "watch.go", "if w.culprit == \"\" && asked.Sub(first) >= rules.Apart {", "if w.culprit == \"\" && !first.IsZero() {"},
	{"a culprit needs no reading behind it", "watch.go", "!seen.Before(later(w.twice, w.passed)):", "true:"},
	{"counted at first sight", "watch.go", "case least >= 1 && w.seen().Before(w.moved.Add(rules.Confirm)):", "case false:"},
	{"begun is partial at once", "watch.go", "if w.links >= links && !w.seen().Before(w.linked.Add(rules.Confirm)) || w.over(now) {", "if true {"},
	{"places are not kept", "book.go", "c.until = now.Add(b.rules.settle())", "c.until = time.Time{}"},
	{"kept places are given", "metric.go", "p.open != nil || p.kept(now) || p.probes", "p.open != nil || p.probes"},
	{"places in use are given", "metric.go", "p.open != nil || p.kept(now) || p.probes", "p.kept(now) || p.probes"},
	{"the last receipt is enough", "watch.go", "if mask.Has(a) {\n\t\t\tleast, most", "if mask.Has(a) && a == Last {\n\t\t\tleast, most"},
	{"carried over digits are believed", "metric.go", "if d < w.digits[application] || below < w.below[application] {", "if false {"},
	{"a report sent again passes others", "reading.go", "least >= 1 && !w.unreadable && !w.resent", "least >= 1 && !w.unreadable"},
	{"the last receipt alone is read", "reading.go", "mask |= w.receipt.Mask", "mask |= 1 << Last"},
	{"probes at once after a start", "probe.go", "now.Sub(b.began) < b.rules.settle() || ", ""},
	{"a probe counts for the latest", "probe.go", "b.newest = later(b.newest, b.probes[0])", "b.newest = later(b.newest, b.probes[len(b.probes)-1])"},
	{"a slice is whole without the next", "watch.go", "case digits[next] == 0:", "case false:"},
	{"an unknown first receipt is as any other", "watch.go", "case !others.Has(First) || most > 0:", "case others == 0 || most > 0:"},
	{"a metric made again goes on", "metric.go", "w.unreadable = w.unreadable || w.receipt.Base[application] == 0 && m.value[application] == 0", ""},
	{"what is not shown is decided", "watch.go", "case w.blind != 0:\n\t\treturn w.concludeUnread(now)\n", ""},
	{"a doubled slice is counted", "watch.go", "case digits[head] > 1:", "case false:"},
}

// judges are the tests of mutants whose occasion is too rare for random histories.
var judges = map[string]string{
	"a failed job is not waited for twice":     "TestDroppedWithoutACulprit",
	"an unknown first receipt is as any other": "TestReceiptApplicationIsUnknown",
	"a metric made again goes on":              "TestMetricIsMissing",
	"what is not shown is decided":             "TestMetricIsMissing",
	"links begin at the first one's sending":   "TestLinksBeginWhenTheLastWasSeen",
	"one denial condemns":                      "TestCulpritIsDeniedTwice",
	"a culprit needs no reading behind it":     "TestCulpritIsDeniedTwice",
	"places are not kept":                      "TestPlacesRestAfterTheirReports",
	"kept places are given":                    "TestPlacesAreKeptOverRestarts",
	"a report sent again passes others":        "TestReportsSentAgainPassNone",
	"the last receipt alone is read":           "TestPartBeforeAMetricIsMadeAgain",
	"probes at once after a start":             "TestProbesCountForTheEarliest",
	"a probe counts for the latest":            "TestProbesCountForTheEarliest",
}

// TestMutantsApply keeps the mutants in step with the code.
func TestMutantsApply(t *testing.T) {
	for _, m := range mutants {
		mutation.Apply(t, m.name, mutation.Change{File: m.file, Old: m.old, New: m.new})
	}
}

// TestMutants judges the model: it breaks the rules in one way after the other and expects the model to notice.
func TestMutants(t *testing.T) {
	if os.Getenv("REPORTERD_MUTANTS") == "" {
		t.Skip("takes minutes: set REPORTERD_MUTANTS=1")
	}
	for _, m := range mutants {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			judge := cmp.Or(judges[m.name], "TestModel")
			out := mutation.Killed(t, judge, []string{"REPORTERD_MODEL_HISTORIES=6000"}, mutation.Change{File: m.file, Old: m.old, New: m.new})
			require.Contains(t, out, "--- FAIL: "+judge+" ")
			t.Log(out[:min(len(out), 300)])
		})
	}
}
