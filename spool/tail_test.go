package spool

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTailWaitsForWhatIsDurable(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s, _, err := Open(Options{Dir: dir})
		require.NoError(t, err)
		tail := s.Tail()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		time.AfterFunc(time.Second, func() { appendAll(t, s, someEvents(3)) })
		start := time.Now()
		g, err := tail.Next(ctx)
		require.NoError(t, err)
		assert.Equal(t, time.Second, time.Since(start))
		assert.Equal(t, start.Add(time.Second), g.Accepted)
		assert.Equal(t, []any{Position(1), Position(3), 3}, []any{g.First, g.Last, g.Count})
		_, err = tail.Next(ctx)
		assert.ErrorIs(t, err, context.DeadlineExceeded)
		require.NoError(t, tail.Close())
		require.NoError(t, s.Close())
	})
}

func TestTailFollowsOverSegments(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir(), SegmentBytes: minSegment})
	tail := s.Tail()
	defer func() { _ = tail.Close() }()
	var read Position
	for range 40 {
		appendAll(t, s, someEvents(300))
		g, err := tail.Next(t.Context())
		require.NoError(t, err)
		assert.Equal(t, read+1, g.First)
		read = g.Last
	}
	count, _ := s.journal.log.Files()
	assert.Greater(t, count, 3)
	assert.EqualValues(t, 40*300, read)
}

func TestTailStartsInTheMiddleOfAGroup(t *testing.T) {
	o := Options{Dir: t.TempDir()}
	s, _ := open(t, o)
	events := someEvents(10)
	appendAll(t, s, events)
	cut, err := s.BeginCut(4)
	require.NoError(t, err)
	require.NoError(t, cut.Add(batchesOf(events[:4])[0]))
	require.NoError(t, cut.Commit(0))
	for range 2 {
		left, last := pending(t, s)
		assert.Equal(t, events[4:], left)
		assert.EqualValues(t, 10, last)
		checkLaw(t, s, 0)
		s, _ = reopen(t, s, o)
	}
}

// A second reader is behind cuts that take what it has not read, and the segments with it: nothing of that is lost.
func TestWhatACutTookIsNotLostToASlowReader(t *testing.T) {
	s, _ := open(t, Options{Dir: t.TempDir(), SegmentBytes: 2 << 10})
	appendAll(t, s, someEvents(10))
	slow := s.Tail()
	for range 10 {
		appendAll(t, s, someEvents(10))
		cutAll(t, s)
	}
	appendAll(t, s, someEvents(1))
	require.Greater(t, s.journal.log.All()[0].First, uint64(1))
	found, err := slow.step()
	require.NoError(t, err)
	require.True(t, found)
	require.NoError(t, slow.Close())
	assert.Equal(t, Counts{Accepted: 111, Pending: 111}, checkLaw(t, s, 0))
}
