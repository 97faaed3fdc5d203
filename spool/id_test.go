package spool

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestBatchIDs(t *testing.T) {
	root := BatchID{Position: 42000, Index: 7}
	first, ok := root.child(0)
	require.True(t, ok)
	deep, ok := first.child(MaxChildren - 1)
	require.True(t, ok)
	for id, want := range map[BatchID]string{
		root: "000000042000-0007", first: "000000042000-0007.1", deep: "000000042000-0007.1.15",
		{Position: 1 << 60, Index: 1 << 31}: "1152921504606846976-2147483648",
	} {
		assert.Equal(t, want, id.String())
		back, err := ParseBatchID(want)
		require.NoError(t, err)
		assert.Equal(t, id, back)
	}
	_, ok = root.child(MaxChildren)
	assert.False(t, ok)
	for range MaxSplits - 2 {
		deep, ok = deep.child(0)
		require.True(t, ok)
	}
	_, ok = deep.child(0)
	assert.False(t, ok, "no id is left")
	for _, bad := range []string{"", "1", "1-", "-1", "1-2.", "1-2.0", "1-2.16", "1-2.x", "1-99999999999"} {
		_, err := ParseBatchID(bad)
		assert.Error(t, err, bad)
	}
	ids := []BatchID{{Position: 2}, {Position: 1, Index: 1}, first, root, {Position: 1}}
	slices.SortFunc(ids, BatchID.Compare)
	assert.Equal(t, []BatchID{{Position: 1}, {Position: 1, Index: 1}, {Position: 2}, root, first}, ids)
}
