package spool

import (
	"fmt"
	"testing"

	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCutIsAllOrNothing(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(10))
	cut, err := s.BeginCut(10)
	require.NoError(t, err)
	b := batchesOf(someEvents(10))[0]
	require.NoError(t, cut.Add(b))
	_, err = s.BeginCut(10)
	assert.ErrorContains(t, err, "another cut is in progress")
	assert.Empty(t, s.Batches(), "before the commit")
	require.NoError(t, cut.Abort())
	assert.ErrorIs(t, cut.Add(b), errCutDone)
	assert.ErrorIs(t, cut.Commit(0), errCutDone)
	assert.Empty(t, s.Batches())
	assert.Zero(t, s.Committed())
	changed := s.Changed()
	ids := cutAll(t, s)
	select {
	case <-changed:
	default:
		t.Error("no reader was told of the new batches")
	}
	assert.Equal(t, "000000000010-0000", ids[0].String())
	s, found := reopen(t, s, o)
	assert.EqualValues(t, 10, found.Committed)
	assert.Len(t, s.Batches(), 1)
	checkLaw(t, s, 0)
}

func TestCutAccountsForEveryEvent(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir()})
	appendAll(t, s, someEvents(10))
	for _, test := range []struct{ batched, nothing int }{{9, 0}, {10, 1}, {0, 9}} {
		cut, err := s.BeginCut(10)
		require.NoError(t, err)
		if test.batched > 0 {
			require.NoError(t, cut.Add(batchesOf(someEvents(test.batched))[0]))
		}
		assert.ErrorContains(t, cut.Commit(uint64(test.nothing)), "there are 10", "%+v", test)
	}
	cut, err := s.BeginCut(10)
	require.NoError(t, err)
	require.NoError(t, cut.Commit(10))
	assert.Equal(t, Counts{Accepted: 10, Delivered: 10}, s.Counts(), "nothing to report is delivered")
}

func TestCutOfNothing(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir()})
	appendAll(t, s, someEvents(5))
	cutAll(t, s)
	for _, upTo := range []Position{0, 5, 6} {
		_, err := s.BeginCut(upTo)
		assert.Error(t, err, "up to %d", upTo)
	}
}

func TestLargeCut(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 1 << 20, Sync: Never}
	s, _ := open(t, o)
	for range 50 {
		appendAll(t, s, someEvents(1000))
	}
	events, last := pending(t, s)
	cut, err := s.BeginCut(last)
	require.NoError(t, err)
	for len(events) > 0 {
		require.NoError(t, cut.Add(batchesOf(events[:1000])[0]))
		events = events[1000:]
	}
	require.NoError(t, cut.Commit(0))
	count, _ := s.journal.log.Files()
	assert.Equal(t, 1, count, "what was cut is released")
	s, _ = reopen(t, s, o)
	infos := s.Batches()
	require.Len(t, infos, 50)
	for i, info := range infos {
		b, err := s.Load(info.ID)
		require.NoError(t, err)
		assert.EqualValues(t, i, b.ID.Index)
		assert.Equal(t, batchesOf(someEvents(1000))[0].Transactions, b.Transactions)
	}
	checkLaw(t, s, 0)
}

func TestLanesKeepTheOrderOfSealing(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	var keys []LaneKey
	for i := range 3 {
		keys = append(keys, LaneKey{ServiceID: fmt.Sprint(i), Credentials: threescale.Credentials{ServiceToken: fmt.Sprint("t", i)}})
	}
	for range 3 {
		events := someEvents(6)
		for i := range events {
			events[i].ServiceID, events[i].Credentials = keys[i%3].ServiceID, keys[i%3].Credentials
		}
		appendAll(t, s, events)
		cutAll(t, s)
	}
	require.NoError(t, s.Resolve(s.Lane(keys[0], 1)[0].ID, Resolution{Delivered: []int{0, 1}}))
	for range 2 {
		assert.Equal(t, []LaneKey{keys[1], keys[2], keys[0]}, s.Lanes(), "the longest waiting first")
		lane := s.Lane(keys[1], 2)
		require.Len(t, lane, 2)
		assert.Equal(t, []Position{6, 12}, []Position{lane[0].ID.Position, lane[1].ID.Position})
		batches, events := s.LaneFigures(keys[0])
		assert.Equal(t, []any{2, uint64(4)}, []any{batches, events})
		assert.Nil(t, s.Lane(LaneKey{ServiceID: "other"}, 5))
		s, _ = reopen(t, s, o)
	}
}
