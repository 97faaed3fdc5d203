package spool_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/reporterd/reporterd/threescale"
)

// A batch is split, its child is copied forward, and then the record of the split is damaged: the batch is
// live again, so its child must not be, or the next split makes a second batch of the same id and one of
// the two is forgotten.
func TestChildBesideItsUndoneParent(t *testing.T) {
	d := disktest.New(disktest.Options{})
	o := spool.Options{Dir: "data", FS: d, SegmentBytes: 16 << 10}
	s, _, err := spool.Open(o)
	require.NoError(t, err)
	ids := sealThree(t, s)
	require.NoError(t, s.Resolve(ids[0], spool.Resolution{Delivered: []int{0}, Children: [][]int{{1}}}))
	for range 200 { // until a resolve finds enough dead weight to copy the child
		require.NoError(t, s.Attempt(ids[2], time.Now()))
	}
	require.NoError(t, s.Resolve(ids[2], spool.Resolution{Delivered: []int{0, 1}}))
	require.NoError(t, s.Close())

	var homes []string
	for _, file := range d.Files() {
		if strings.HasPrefix(file, "data/batches/") && bytes.Contains(d.Durable(file), []byte("split-1")) {
			homes = append(homes, file)
		}
	}
	require.Len(t, homes, 2, "the child was copied, and its first segment is still there")
	require.True(t, d.Flip(homes[0], int64(bytes.LastIndex(d.Durable(homes[0]), []byte("split-1"))), 0))

	d = d.Crash()
	o.FS = d
	s, _, err = spool.Open(o)
	require.NoError(t, err)
	live := map[spool.BatchID]bool{}
	for _, info := range s.Batches() {
		live[info.ID] = true
	}
	assert.Equal(t, map[spool.BatchID]bool{ids[0]: true, ids[1]: true}, live)
	require.NoError(t, s.Resolve(ids[0], spool.Resolution{Delivered: []int{1}, Children: [][]int{{0}}}))
	counts := s.Counts()
	assert.EqualValues(t, 3, counts.Pending, "a child of one event, and a batch of two")
	assert.Equal(t, counts.Accepted, counts.Delivered+counts.Pending)
}

// sealThree cuts six events into three batches of two: the first to be split, the second to stay, the
// third for anything.
func sealThree(t *testing.T, s *spool.Spool) (ids []spool.BatchID) {
	t.Helper()
	for range 6 {
		accept(t, s)
	}
	cut, err := s.BeginCut(6)
	require.NoError(t, err)
	for _, name := range []string{"split", "stay", "other"} {
		b := &spool.Batch{Lane: spool.LaneKey{ServiceID: "1001"}}
		for i := range 2 {
			b.Transactions = append(b.Transactions, spool.Transaction{Events: 1, Transaction: threescale.Transaction{
				Application: threescale.Application{ID: fmt.Sprintf("%s-%d", name, i)}, Timestamp: 1_700_000_000,
			}})
		}
		require.NoError(t, cut.Add(b))
		ids = append(ids, b.ID)
	}
	require.NoError(t, cut.Commit(0))
	return ids
}
