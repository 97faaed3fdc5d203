package reconcile

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/ledger"
)

// sentBatch is a batch of one application's hits in the first hour.
type sentBatch struct {
	id        string
	app       string
	hits      int64
	delivered bool // 202
	unknown   int  // reports with an unknown outcome
	landed    int  // of all its reports, how many were counted
}

var (
	firstHour = time.Date(2026, 11, 24, 13, 0, 0, 0, time.UTC)
	sealed    = firstHour.Add(26 * time.Hour)
	soon      = firstHour.Add(61 * time.Minute)
	later     = firstHour.Add(3 * time.Hour)
)

// books are both sides: the ledger's from what was answered, 3scale's from what landed, and usage of other reporters.
func books(at time.Time, drill bool, others int64, batches ...sentBatch) *Books {
	b := &Books{
		ServiceID: "1001", ObservedAt: at, Parents: map[string]string{"search": "hits"}, Unknown: map[string]string{},
		Counted: map[string]map[int64]int64{"hits": {}, "search": {}}, Apps: map[string]map[string]map[int64]int64{},
	}
	hour := firstHour.Unix()
	b.Counted["hits"][hour] = others
	for i, s := range batches {
		f := ledger.Figures{Accepted: s.hits, Ambiguous: s.hits * int64(s.unknown)}
		c := ledger.BatchCell{Hour: firstHour, AppID: s.app, Metric: "search", Ambiguous: f.Ambiguous}
		if s.delivered {
			f.Delivered, c.Delivered = s.hits, s.hits
		}
		b.Rows = append(b.Rows, ledger.Row{Time: firstHour, ServiceID: "1001", AppID: s.app, Metric: "search", Figures: f})
		b.Batches = append(b.Batches, ledger.BatchRecord{ID: s.id, ServiceID: "1001", Sealed: firstHour.Add(time.Duration(i) * time.Minute), Ambiguous: s.unknown, Cells: []ledger.BatchCell{c}})
		for _, metric := range []string{"hits", "search"} {
			b.Counted[metric][hour] += s.hits * int64(s.landed)
			if b.Apps[s.app] == nil {
				b.Apps[s.app] = map[string]map[int64]int64{"hits": {}, "search": {}}
			}
			b.Apps[s.app][metric][hour] += s.hits * int64(s.landed)
		}
	}
	if !drill {
		b.Apps = nil
	}
	return b
}

// TestVerdicts: what is found of one hour, when, and which batch it names. The column landed of a batch that failed is
// the one that matters: failed, but it had landed.
func TestVerdicts(t *testing.T) {
	fine := sentBatch{"a", "app1", 10, true, 0, 1}
	for name, c := range map[string]struct {
		batches   []sentBatch
		others    int64
		shared    bool
		at        time.Time
		verdict   Verdict // of app1's hits, or of the service's where nothing was looked at closer
		final     bool
		delta     int64
		fates     string
		elsewhere Verdict // of (others)
	}{
		"all is there, sealed":                         {batches: []sentBatch{fine}, at: sealed, verdict: Match, final: true},
		"all is there, not sealed":                     {batches: []sentBatch{fine}, at: later, verdict: Match},
		"the hour goes on":                             {batches: []sentBatch{fine}, at: firstHour.Add(time.Minute), verdict: Open},
		"taken and dropped":                            {batches: []sentBatch{fine, {"b", "app1", 7, true, 0, 0}}, at: sealed, verdict: Short, final: true, delta: -7, fates: "b dropped"},
		"taken and not there yet":                      {batches: []sentBatch{fine, {"b", "app1", 7, true, 0, 0}}, at: soon, verdict: Settling, delta: -7, fates: "b dropped"},
		"taken and not there for long":                 {batches: []sentBatch{fine, {"b", "app1", 7, true, 0, 0}}, at: later, verdict: Suspect, delta: -7, fates: "b dropped"},
		"failed, but it had landed":                    {batches: []sentBatch{fine, {"b", "app1", 7, false, 1, 1}}, at: sealed, verdict: Match, final: true, delta: 7, fates: "b landed"},
		"failed, and it had not landed":                {batches: []sentBatch{fine, {"b", "app1", 7, false, 1, 0}}, at: sealed, verdict: Match, final: true, fates: "b not landed"},
		"failed, had landed, and was sent again":       {batches: []sentBatch{fine, {"b", "app1", 7, true, 1, 2}}, at: sealed, verdict: Over, final: true, delta: 7, fates: "b twice"},
		"failed, had not landed, and was sent again":   {batches: []sentBatch{fine, {"b", "app1", 7, true, 1, 1}}, at: sealed, verdict: Match, final: true, fates: "b once"},
		"failed twice, and had landed both times":      {batches: []sentBatch{fine, {"b", "app1", 7, false, 2, 2}}, at: sealed, verdict: Over, final: true, delta: 14, fates: "b twice"},
		"either of two had landed":                     {batches: []sentBatch{{"a", "app1", 7, false, 1, 1}, {"b", "app1", 7, false, 1, 0}}, at: sealed, verdict: Unverifiable, final: true, delta: 7, fates: "a possible, b possible"},
		"one dropped, or another one and a third":      {batches: []sentBatch{{"a", "app1", 7, true, 0, 0}, {"b", "app1", 10, true, 0, 1}, {"c", "app1", 3, false, 1, 0}}, at: sealed, verdict: Short, final: true, delta: -7, fates: "a possible, b possible, c possible"},
		"failed, and other reporters report as much":   {batches: []sentBatch{fine, {"b", "app1", 7, false, 1, 1}}, shared: true, at: sealed, verdict: Covers, final: true, delta: 7},
		"either of two was dropped":                    {batches: []sentBatch{{"a", "app1", 7, true, 0, 1}, {"b", "app1", 7, true, 0, 0}}, at: sealed, verdict: Short, final: true, delta: -7, fates: "a possible, b possible"},
		"other reporters, not known":                   {batches: []sentBatch{fine}, others: 5, shared: true, at: sealed, verdict: Match, final: true, elsewhere: Covers},
		"other reporters where none should be":         {batches: []sentBatch{fine}, others: 5, at: sealed, verdict: Match, final: true, elsewhere: Over},
		"dropped, and other reporters for another app": {batches: []sentBatch{fine, {"b", "app1", 7, true, 0, 0}}, others: 3, shared: true, at: sealed, verdict: Short, final: true, delta: -7, fates: "b possible", elsewhere: Covers},
	} {
		t.Run(name, func(t *testing.T) {
			b := books(c.at, c.verdict != Open && (c.delta != 0 || c.others > 0), max(c.others, 0), c.batches...)
			cells, fates := Judge(b, Rules{Exclusive: !c.shared, Seal: DefaultSeal, Quiet: DefaultQuiet})
			said := ""
			for _, e := range fates {
				if said != "" {
					said += ", "
				}
				said += fmt.Sprintf("%s %s", e.Batch, e.Fate)
			}
			assert.Equal(t, c.fates, said)
			found, others := false, Verdict("")
			for _, cell := range cells {
				switch {
				case cell.AppID == "(others)":
					others = cell.Verdict
				case cell.Metric == "hits":
					found = true
					assert.Equal(t, c.verdict, cell.Verdict, "%+v", cell)
					assert.Equal(t, c.final, cell.Final)
					assert.Equal(t, c.delta, cell.Delta)
				}
			}
			assert.True(t, found)
			assert.Equal(t, c.elsewhere, others)
		})
	}
}

// TestDoubling: an application's count that is too high without a reason is over for the only reporter, and covered
// otherwise.
func TestDoubling(t *testing.T) {
	for _, exclusive := range []bool{true, false} {
		b := books(sealed, true, 0, sentBatch{"a", "app1", 10, true, 0, 2})
		cells, _ := Judge(b, Rules{Exclusive: exclusive, Seal: DefaultSeal, Quiet: DefaultQuiet})
		for _, c := range cells {
			assert.Equal(t, map[bool]Verdict{true: Over, false: Covers}[exclusive], c.Verdict, "%+v", c)
			assert.EqualValues(t, 10, c.Delta)
		}
	}
}

// TestRefused: what cannot be asked for is not guessed.
func TestRefused(t *testing.T) {
	b := books(sealed, true, 0, sentBatch{"a", "app1", 10, true, 0, 1}, sentBatch{"b", "gone", 5, true, 0, 0})
	delete(b.Apps, "gone")
	b.Unknown["gone"] = "the portal does not know the application"
	cells, _ := Judge(b, Rules{Exclusive: true, Seal: DefaultSeal, Quiet: DefaultQuiet})
	verdicts := map[string]Verdict{}
	for _, c := range cells {
		verdicts[c.AppID] = c.Verdict
	}
	assert.Equal(t, map[string]Verdict{"app1": Match, "gone": Unverifiable}, verdicts)
}

// TestDeletedApplication: usage of an application that was delivered, and that the portal does not know any more, is not usage of
// other reporters; what is counted beyond it is.
func TestDeletedApplication(t *testing.T) {
	for beyond, want := range map[int64]int{0: 0, 7: 1} {
		b := books(sealed, true, beyond, sentBatch{id: "a", app: "gone", hits: 40, delivered: true, landed: 1}, sentBatch{id: "b", app: "stays", hits: 5, delivered: true})
		delete(b.Apps, "gone")
		b.Unknown["gone"] = "the portal does not know the application"
		cells, _ := Judge(b, Rules{Exclusive: true, Seal: time.Hour})
		foreign := 0
		for _, c := range cells {
			if c.AppID == otherApps {
				foreign++
				assert.Equal(t, Over, c.Verdict)
				assert.Equal(t, beyond, c.Counted)
			}
		}
		assert.Equal(t, want, foreign, "with %d of other reporters", beyond)
	}
}
