package spool

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A process that dies between making a segment and writing its first frame leaves an empty one. What
// stands before it is still the last that is known of the figures and of the last cut (I6, I11), however
// often the daemon starts with nothing to write.
func TestEmptySegmentReplacesNothing(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	appendAll(t, s, someEvents(10))
	cutAll(t, s)
	deliver(t, s)
	empty := &wal.Segment{First: s.batches.log.NextSequence(), Size: wal.SegmentHead}
	require.NoError(t, s.Close())
	head := make([]byte, wal.SegmentHead)
	empty.PutHead(head, wal.Batches)
	require.NoError(t, os.WriteFile(filepath.Join(o.Dir, "batches", empty.Name()), head, 0o600))
	for range 3 {
		s, _ = open(t, o)
		assert.Equal(t, Counts{Accepted: 10, Delivered: 10}, s.Counts())
		assert.EqualValues(t, 10, s.Committed())
		require.NoError(t, s.Close())
	}
}
