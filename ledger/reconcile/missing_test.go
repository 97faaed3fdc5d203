package reconcile

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/ledger"
)

// TestMissing: a cell that is short for the first time names what was in the batches that may be the reason; a run that finds
// the same does not.
func TestMissing(t *testing.T) {
	hour := time.Date(2026, 11, 30, 8, 0, 0, 0, time.UTC)
	part := func(app string) ledger.BatchCell {
		return ledger.BatchCell{Hour: hour, AppID: app, Metric: "hits", Delivered: 1}
	}
	b := &Books{ServiceID: "1001", Batches: []ledger.BatchRecord{
		{ID: "one", Cells: []ledger.BatchCell{part("a"), part("b")}}, {ID: "two", Cells: []ledger.BatchCell{part("c")}},
		{ID: "three", Cells: []ledger.BatchCell{{Hour: hour, AppID: "d", Metric: "other", Delivered: 1}}},
	}}
	cells := func(delta int64, evidence ...Evidence) []Cell {
		return []Cell{
			{ServiceID: "1001", Hour: hour, Metric: "hits", Verdict: Short, Delta: delta, Evidence: evidence},
			{ServiceID: "1001", Hour: hour, AppID: "d", Metric: "other", Verdict: Match},
		}
	}
	k := NewKeeper(Options{})
	assert.Equal(t, Missing{"1001", []string{"a", "b", "c"}, []string{"hits"}}, missingOf(b, cells(-1), k.isFresh))
	assert.Empty(t, missingOf(b, cells(-1), k.isFresh).Applications, "it was told")
	assert.Equal(t, []string{"a", "b"}, missingOf(b, cells(-2, Evidence{Batch: "one", Fate: Dropped}, Evidence{Batch: "two", Fate: Once}), k.isFresh).Applications, "more is missing")
}
