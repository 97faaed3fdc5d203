package spool

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

func accountEvent(app string) event.Event {
	return event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: app}, Timestamp: 100, Usage: threescale.Usage{{Metric: "hits", Value: 1}},
	}}
}

// pages reads what there is, and returns the accounts and the place behind them.
func pages(t *testing.T, a *ChangeFeed) (kinds []BatchEventKind, next uint64, missed bool) {
	t.Helper()
	for {
		found, err := a.step()
		require.NoError(t, err)
		if !found {
			return kinds, next, missed
		}
		for _, account := range a.page.Events {
			kinds = append(kinds, account.Kind)
		}
		next, missed = a.page.Next, missed || a.page.Missed
	}
}

// A place in the middle of a cut is a place to go on from: the batches that were sealed before it, and exist from the
// cut's record behind it on, are read from where they were recorded.
func TestAccountsGoOnInTheMiddleOfACut(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: minSegment, KeepChanges: true}
	s, _, err := Open(o)
	require.NoError(t, err)
	s.Booked(1)
	appendAll(t, s, []event.Event{accountEvent("app1")})
	cutAll(t, s)
	first := s.Batches()[0].ID
	appendAll(t, s, []event.Event{accountEvent("app2")})
	cut, err := s.BeginCut(2)
	require.NoError(t, err)
	require.NoError(t, cut.Add(batchesOf([]event.Event{accountEvent("app2")})[0]))
	require.NoError(t, s.batches.append(cut.buf, cut.records)) // as a large cut does before its end
	cut.buf, cut.records = nil, nil
	require.NoError(t, s.Resolve(first, Resolution{Delivered: []int{0}}))
	a := s.ChangeFeed()
	kinds, next, missed := pages(t, a)
	assert.Equal(t, []BatchEventKind{BatchSealed, BatchEnded}, kinds)
	assert.False(t, missed)
	require.NoError(t, a.Close())

	s.Booked(next)
	require.NoError(t, cut.Commit(0))
	a = s.ChangeFeed()
	kinds, _, missed = pages(t, a)
	assert.Equal(t, []BatchEventKind{BatchSealed}, kinds)
	assert.False(t, missed, "nothing is missing")
	require.NoError(t, a.Close())
	require.NoError(t, s.Close())
}

// Records that tell nothing are behind the reader all the same.
func TestAccountsReachTheEnd(t *testing.T) {
	s, _, err := Open(Options{Dir: t.TempDir(), SegmentBytes: minSegment, KeepChanges: true})
	require.NoError(t, err)
	s.Booked(1)
	appendAll(t, s, []event.Event{accountEvent("app1")})
	cutAll(t, s)
	require.NoError(t, s.Attempt(s.Batches()[0].ID, time.Unix(5, 0)))
	a := s.ChangeFeed()
	kinds, next, _ := pages(t, a)
	assert.Equal(t, []BatchEventKind{BatchSealed}, kinds)
	assert.Equal(t, s.ChangesEnd(), next)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = a.Next(ctx)
	require.ErrorIs(t, err, context.Canceled, "and is not told again")
	require.NoError(t, a.Close())
	require.NoError(t, s.Close())
}

// What was removed to free space is reported missing to a reader that continues from before it, not to a new reader.
func TestAccountsMissWhatWentWhileNobodyRead(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10, KeepChanges: true}
	s, _ := open(t, o)
	s.batches.changesLimit = 0 // no room for what has ended
	step := func() {
		appendAll(t, s, []event.Event{accountEvent("app1")})
		cutAll(t, s)
		deliver(t, s)
	}
	step()
	a := s.ChangeFeed()
	_, next, missed := pages(t, a)
	require.False(t, missed)
	require.NoError(t, a.Close())
	for range 50 {
		step()
	}
	require.Greater(t, s.batches.log.All()[0].First, next)
	for from, want := range map[uint64]bool{next: true, 1: false, s.ChangesEnd(): false} {
		s.Booked(from)
		a = s.ChangeFeed()
		_, _, missed = pages(t, a)
		assert.Equal(t, want, missed, "from %d", from)
		require.NoError(t, a.Close())
	}
}
