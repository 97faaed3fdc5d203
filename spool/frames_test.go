package spool

import (
	"errors"
	"os"
	"testing"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestListFrames(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.CopyFS(dir, os.DirFS(goldenDir)))
	o := InspectOptions{Dir: dir}
	frames := func(file string) (all []FrameInfo) {
		require.NoError(t, ListFrames(t.Context(), o, file, func(f FrameInfo) error { all = append(all, f); return nil }))
		return all
	}
	journal := frames("journal/00000000000000000001-0000.seg")
	require.Len(t, journal, 2)
	assert.Equal(t, []uint64{1, 4, 6}, []uint64{journal[0].First, journal[0].Next, journal[1].Next})
	assert.Equal(t, 2000, journal[0].Accepted.UTC().Year())
	assert.Equal(t, int64(wal.SegmentHead), journal[0].Offset)
	assert.Equal(t, map[string]int{"totals": 1, "batch": 2, "cut": 1}, frames("batches/00000000000000000001-0000.seg")[0].Records)
	assert.Equal(t, journal, frames("00000000000000000001-0000.seg"), "the first log that has one of the name")

	enough := errors.New("enough")
	read := 0
	err := ListFrames(t.Context(), o, "batches/00000000000000000001-0000.seg", func(FrameInfo) error { read++; return enough })
	assert.ErrorIs(t, err, enough)
	assert.Equal(t, 1, read)
	err = ListFrames(t.Context(), o, "ids/00000000000000000099-0000.seg", nil)
	assert.ErrorIs(t, err, ErrUnknownSegment)
}
