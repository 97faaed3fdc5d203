package spool

import (
	"context"
	"fmt"
	"testing"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/require"
)

func someEvents(n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: fmt.Sprintf("app%d", i%10)},
			Usage:       threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "transfer", Value: 512}},
			Timestamp:   1764000000 + int64(i%60),
		}}
	}
	return events
}

func TestSmoke(t *testing.T) {
	dir := t.TempDir()
	s, r, err := Open(Options{Dir: dir})
	require.NoError(t, err)
	t.Log(r.Lines())
	ctx := context.Background()
	_, err = s.Append(ctx, someEvents(10))
	require.NoError(t, err)
	tail := s.Tail()
	g, err := tail.Next(ctx)
	require.NoError(t, err)
	n := 0
	for e := range g.Events {
		require.Equal(t, "hits", e.Usage[0].Metric)
		n++
	}
	require.Equal(t, 10, n)
	c, err := s.BeginCut(g.Last)
	require.NoError(t, err)
	b := &Batch{Lane: LaneKey{ServiceID: "1001"}}
	for i := range 10 {
		b.Transactions = append(b.Transactions, Transaction{Transaction: someEvents(10)[i].Transaction, Events: 1})
	}
	require.NoError(t, c.Add(b))
	require.NoError(t, c.Commit(0))
	require.Len(t, s.Batches(), 1)
	require.NoError(t, s.Close())
	s, r, err = Open(Options{Dir: dir})
	require.NoError(t, err)
	t.Log(r.Lines())
	require.Len(t, s.Batches(), 1)
	got, err := s.Load(b.ID)
	require.NoError(t, err)
	require.Equal(t, b.Transactions, got.Transactions)
	require.NoError(t, s.Resolve(b.ID, Resolution{Delivered: []int{0, 1, 2}, Dead: []DeadLetter{{Index: 3}}, Children: [][]int{{4, 5}, {6, 7, 8, 9}}}))
	t.Log(s.Counts(), s.Batches())
	require.NoError(t, s.Close())
	s, r, err = Open(Options{Dir: dir})
	require.NoError(t, err)
	t.Log(r.Lines(), s.Counts())
	require.Len(t, s.Batches(), 2)
	require.NoError(t, s.Close())
}
