package spool

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/reporterd/reporterd/spool/disk/disktest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func inspect(t *testing.T, o Options) *Inspection {
	t.Helper()
	in, err := Inspect(t.Context(), InspectOptions{Dir: o.Dir, FS: o.FS})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, in.Close()) })
	return in
}

// uncut counts the events that are only in the journal.
func uncut(t *testing.T, in *Inspection) (n uint64) {
	t.Helper()
	require.NoError(t, in.Uncut(func(LaneKey, int64) bool { n++; return true }))
	return n
}

// What Inspect says of a directory is what Open finds in it, and looking leaves every byte as it was.
func TestInspectionAgreesWithRecovery(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(goldenDir)))
	o := Options{Dir: dir}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "deadletters", "x.tmp"), nil, 0o600))
	before := contents(t, dir)
	in := inspect(t, o)
	assert.False(t, in.InUse)
	assert.Equal(t, before, contents(t, dir), "nothing was touched")
	infos := in.Batches()
	require.Len(t, infos, 2)
	b, info, err := in.Batch(infos[1].ID)
	require.NoError(t, err)
	assert.Equal(t, infos[1], info)
	assert.Equal(t, goldenEvents()[1].Transaction, b.Transactions[0].Transaction)
	_, _, err = in.Batch(BatchID{Position: 99})
	assert.ErrorIs(t, err, ErrUnknownBatch)

	s, found := open(t, o)
	assert.Equal(t, found.Counts, in.Found.Counts)
	assert.Equal(t, s.Batches(), infos)
}

func TestInspectionOfADirectoryInUse(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: minSegment}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(7))
	cutAll(t, s)
	appendAll(t, s, someEvents(3))
	in := inspect(t, o)
	assert.True(t, in.InUse)
	assert.NotEqual(t, "(unknown)", in.Holder)
	assert.Equal(t, Counts{Accepted: 10, Pending: 10}, in.Found.Counts)
	assert.EqualValues(t, 3, uncut(t, in))
	assert.Len(t, in.Batches(), 1)

	deliver(t, s)
	cutAll(t, s)
	deliver(t, s)
	assert.EqualValues(t, 3, uncut(t, in), "what was seen stays")
	_, _, err := in.Batch(in.Batches()[0].ID)
	require.NoError(t, err)
	assert.Equal(t, Counts{Accepted: 10, Delivered: 10}, inspect(t, o).Found.Counts)
}

// A spool in full use is looked at again and again: every snapshot keeps the law, and nothing seems lost.
func TestInspectionBesideLiveWrites(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: minSegment}
	s, _ := open(t, o)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { // ends with ctx
		defer close(done)
		for ctx.Err() == nil {
			for range 5 {
				appendAll(t, s, someEvents(50))
			}
			cutAll(t, s)
			deliver(t, s)
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	last := uint64(0)
	for begun := time.Now(); time.Since(begun) < 300*time.Millisecond || last == 0; {
		in := inspect(t, o)
		c := in.Found.Counts
		require.Equal(t, c.Accepted, c.Delivered+c.Pending, "%+v", c)
		require.Empty(t, in.Found.Damaged)
		require.GreaterOrEqual(t, c.Accepted, last)
		live := uncut(t, in)
		for _, info := range in.Batches() {
			live += info.Events
			_, _, err := in.Batch(info.ID)
			require.NoError(t, err)
		}
		require.Equal(t, c.Pending, live)
		last = c.Accepted
		require.NoError(t, in.Close())
	}
}

func TestInspectionEndsWithItsContext(t *testing.T) {
	o, _, _ := filled(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Inspect(ctx, InspectOptions{Dir: o.Dir})
	assert.ErrorIs(t, err, context.Canceled)
}

func TestInspectionOfSomethingElse(t *testing.T) {
	_, err := Inspect(t.Context(), InspectOptions{Dir: t.TempDir()})
	assert.ErrorContains(t, err, "not a data directory of reporterd")
	_, err = Inspect(t.Context(), InspectOptions{Dir: "none", FS: disktest.New(disktest.Options{})})
	assert.ErrorIs(t, err, os.ErrNotExist)
}
