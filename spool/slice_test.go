package spool

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// TestSlices: a transaction may end in several places, by metric, and all of it ends somewhere.
func TestSlices(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Options{Dir: dir})
	one := threescale.Transaction{Application: threescale.Application{ID: "a"}, Timestamp: 1000,
		Usage: threescale.Usage{{Metric: "hits", Value: 7}, {Metric: "nosuch", Value: 2}, {Metric: "search", Value: 1}}}
	e := event.Event{ServiceID: "1001", Transaction: one}
	appendAll(t, s, []event.Event{e, e, e, e, e})
	cut, err := s.BeginCut(5)
	require.NoError(t, err)
	b := &Batch{Lane: LaneKey{ServiceID: "1001"}, Transactions: []Transaction{{Transaction: one, Events: 4}, {Transaction: one, Events: 1}}}
	require.NoError(t, cut.Add(b))
	require.NoError(t, cut.Commit(0))
	good, bad := Slice{Index: 0, Metrics: []string{"hits", "search"}, Events: 3}, Slice{Index: 0, Metrics: []string{"nosuch"}, Events: 1}
	dead := []DeadLetter{{Index: 3, Reason: Reason{Code: "metric_invalid"}}}
	for name, r := range map[string]Resolution{
		"a metric is missing":     {Slices: []Slice{{0, []string{"hits"}, 3}, bad}, Dead: dead, Children: [][]int{{1, 2}}},
		"events are missing":      {Slices: []Slice{{0, good.Metrics, 2}, bad}, Dead: dead, Children: [][]int{{1, 2}}},
		"a slice has no place":    {Slices: []Slice{good, bad}, Dead: dead, Children: [][]int{{1}}},
		"the whole is named, too": {Slices: []Slice{good, bad}, Dead: dead, Children: [][]int{{0, 1, 2}}},
		"of no transaction":       {Slices: []Slice{{5, good.Metrics, 3}, bad}, Dead: dead, Children: [][]int{{1, 2}}},
	} {
		assert.Error(t, s.Resolve(b.ID, r), name)
	}
	require.NoError(t, s.Resolve(b.ID, Resolution{Slices: []Slice{good, bad}, Dead: dead, Children: [][]int{{1, 2}}}))
	for range 2 {
		assert.Equal(t, Counts{Accepted: 5, Pending: 4, Dead: 1}, s.Counts())
		child, err := s.Load(s.Batches()[0].ID)
		require.NoError(t, err)
		assert.Equal(t, []uint32{1, 3}, []uint32{child.Transactions[0].Events, child.Transactions[1].Events})
		assert.Equal(t, one.Usage, child.Transactions[0].Usage)
		assert.Equal(t, threescale.Usage{one.Usage[0], one.Usage[2]}, child.Transactions[1].Usage)
		letters, _, err := s.DeadLetters(DeadLetterQuery{})
		require.NoError(t, err)
		require.Len(t, letters, 1)
		assert.Equal(t, map[string]uint64{"nosuch": 2}, letters[0].Usage)
		assert.EqualValues(t, 1, letters[0].Events)
		require.NoError(t, s.Close())
		s, _ = open(t, Options{Dir: dir})
	}
}
