package spool

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A batch whose last attempt was answered is copied forward before the record of the answer is written: the copy is all that
// the next start knows, and the attempt is not open again.
func TestCopyKnowsTheAnswer(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: 4 << 10}
	s, id := oneBatch(t, o, 1)
	for range 20 { // until the batch is all that keeps its segment
		require.NoError(t, s.Attempt(id, time.Unix(5, 0)))
	}
	require.NoError(t, s.Answered(id))
	e := s.batches.index.live[id]
	before := e.segment
	require.NoError(t, s.batches.copyForward(e))
	require.NoError(t, s.batches.removeEnded())
	require.NotContains(t, s.batches.log.All(), before)
	s, found := reopen(t, s, o)
	assert.Zero(t, found.Unanswered)
	assert.Equal(t, Counts{Accepted: 1, Pending: 1}, checkLaw(t, s, 0))
}
