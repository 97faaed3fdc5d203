package spool

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// cutOf accepts an event and cuts it into a batch of its own.
func cutOf(t *testing.T, s *Spool, app string, at int64) BatchID {
	t.Helper()
	e := event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
		Application: threescale.Application{ID: app}, Timestamp: at, Usage: threescale.Usage{{Metric: "hits", Value: 1}}}}
	appendAll(t, s, []event.Event{e})
	cut, err := s.BeginCut(Position(s.Counts().Accepted))
	require.NoError(t, err)
	b := &Batch{Lane: LaneKey{ServiceID: "1001"}, Transactions: []Transaction{{Transaction: e.Transaction, Events: 1}}}
	require.NoError(t, cut.Add(b))
	require.NoError(t, cut.Commit(0))
	return b.ID
}

func timestamps(infos []BatchInfo) (at []int64) {
	for i := range infos {
		at = append(at, infos[i].OldestTimestamp)
	}
	return at
}

func TestTheEarliestDeadlineIsDueFirst(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir()})
	key := LaneKey{ServiceID: "1001"}
	var all []int64
	ids := map[int64]BatchID{}
	for i, n := range rand.Perm(100) {
		at := int64(1_000_000 + n)
		ids[at] = cutOf(t, s, fmt.Sprint("app", i), at)
		all = append(all, at)
	}
	last := all[len(all)-1]
	assert.Equal(t, []int64{last, all[98]}, timestamps(s.Newest(key, 2)))
	slices.Sort(all)
	assert.Equal(t, all[:9], timestamps(s.Due(key, 9)))
	assert.Equal(t, all, timestamps(s.Due(key, 1000)))
	s.SetAside(ids[all[0]])
	s.SetAside(ids[all[2]])
	s.SetAside(ids[all[2]])
	assert.Equal(t, []int64{all[1], all[3], all[4]}, timestamps(s.Due(key, 3)))
	require.NoError(t, s.Resolve(ids[all[1]], Resolution{Delivered: []int{0}}))
	s.Recall(ids[all[2]])
	s.Recall(ids[all[1]])
	assert.Equal(t, all[2:5], timestamps(s.Due(key, 3)))
	assert.Len(t, s.Batches(), 99, "those set aside are live")
	assert.Empty(t, s.Due(LaneKey{ServiceID: "none"}, 3))
}

// TestDoubts: they survive a restart and a copy forward, and a pardon ends them.
func TestDoubts(t *testing.T) {
	dir := t.TempDir()
	s, _ := open(t, Options{Dir: dir})
	key := LaneKey{ServiceID: "1001"}
	first, second := cutOf(t, s, "a", 1000), cutOf(t, s, "b", 2000)
	at := time.Now()
	for _, id := range []BatchID{first, first, second} {
		require.NoError(t, s.Attempt(id, at))
		require.NoError(t, s.Ambiguous(id))
	}
	require.NoError(t, s.ClearUnresolved(first))
	require.NoError(t, s.batches.copyForward(s.batches.index.live[first]))
	require.NoError(t, s.batches.copyForward(s.batches.index.live[second]))
	for range 2 {
		batches, events := s.LaneUnresolved(key)
		assert.Equal(t, 1, batches)
		assert.EqualValues(t, 1, events)
		doubtful := s.Unresolved(BatchID{}, 10)
		require.Len(t, doubtful, 1)
		assert.Equal(t, second, doubtful[0].ID)
		assert.Equal(t, 1, doubtful[0].Unresolved)
		assert.True(t, at.Equal(doubtful[0].Attempted))
		assert.Empty(t, s.Unresolved(second, 10))
		require.NoError(t, s.Close())
		s, _ = open(t, Options{Dir: dir})
	}
	require.NoError(t, s.Attempt(first, at))
	require.NoError(t, s.Close()) // the outcome is not recorded
	s, found := open(t, Options{Dir: dir})
	assert.Equal(t, 1, found.Unanswered)
	assert.Len(t, s.Unresolved(BatchID{}, 10), 2)
	assert.ErrorIs(t, s.ClearUnresolved(BatchID{Position: 99}), ErrUnknownBatch)
}
