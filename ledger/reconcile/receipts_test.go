package reconcile

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/ledger"
)

// TestReceiptsAndCountsAgree: what 3scale counted by hour confirms what receipts showed of reports, or its difference is in a report
// that they named, or the difference between the two is named.
func TestReceiptsAndCountsAgree(t *testing.T) {
	fine := sentBatch{"a", "app1", 10, true, 0, 1}
	named := sentBatch{"b", "app1", 7, true, 0, 0}
	for name, c := range map[string]struct {
		end       string // of the second batch
		counted   int64  // of its 7 hits
		off       bool
		shared    bool
		agreement Agreement
		reason    string
		fate      Fate
	}{
		"as receipts showed":               {counted: 7, agreement: Confirmed},
		"no receipts":                      {counted: 3, off: true},
		"less, of a partial report":        {end: ledger.Partial, counted: 3, agreement: Explained, reason: "receipts named 7 partial, 0 double, 0 unconfirmed", fate: NamedPartial},
		"nothing, of a partial report":     {end: ledger.Partial, counted: 0, agreement: Explained, reason: "receipts named 7 partial", fate: NamedPartial},
		"all, of a partial report":         {end: ledger.Partial, counted: 7, agreement: Explained, reason: "receipts named 7 partial", fate: NamedPartial},
		"more, of a partial report":        {end: ledger.Partial, counted: 9, agreement: Differs, reason: "2 more is counted than receipts showed", fate: NamedPartial},
		"twice, of a double report":        {end: ledger.Double, counted: 14, agreement: Explained, reason: "receipts named 0 partial, 7 double, 0 unconfirmed", fate: NamedDouble},
		"less, of a double report":         {end: ledger.Double, counted: 5, agreement: Differs, reason: "receipts showed 2 counted that is missing here", fate: NamedDouble},
		"nothing, of an unconfirmed one":   {end: ledger.Unconfirmed, counted: 0, agreement: Explained, reason: "receipts named 0 partial, 0 double, 7 unconfirmed", fate: NamedUnconfirmed},
		"less, and no report is named":     {counted: 3, agreement: Differs, reason: "receipts showed 4 counted that is missing here"},
		"more, and no report is named":     {counted: 14, agreement: Differs, reason: "7 more is counted than receipts showed"},
		"more, and other reporters report": {counted: 14, shared: true, agreement: Confirmed},
	} {
		t.Run(name, func(t *testing.T) {
			b := books(sealed, true, 0, fine, named)
			rules := Rules{Exclusive: !c.shared, Seal: DefaultSeal, Quiet: DefaultQuiet, Receipts: []string{"1001"}}
			if c.off {
				rules.Receipts = []string{"1002"}
			}
			for _, counts := range []map[string]map[int64]int64{b.Counted, b.Apps["app1"]} {
				for metric := range counts {
					counts[metric][firstHour.Unix()] += c.counted
				}
			}
			b.Batches[1].End = ledger.End{Kind: c.end}
			switch c.end {
			case ledger.Partial:
				b.Rows[1].Partial = 7
			case ledger.Double:
				b.Rows[1].Double = 7
			case ledger.Unconfirmed:
				b.Rows[1].Unconfirmed = 7
			}
			cells, _ := Judge(b, rules)
			seen := 0
			for _, cell := range cells {
				if cell.Metric != "hits" {
					continue
				}
				seen++
				assert.Equal(t, c.agreement, cell.Receipts, "%+v", cell)
				assert.Contains(t, cell.Reason, c.reason)
				if c.fate != "" {
					assert.Contains(t, cell.Evidence, Evidence{"b", c.fate, true})
				}
			}
			assert.Equal(t, 1, seen)
		})
	}
}
