package spool

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
)

// TestTwoReadersOfTheLog: what one of two readers has not read is kept, also after the other has booked it; both read the same.
func TestTwoReadersOfTheLog(t *testing.T) {
	o := Options{Dir: t.TempDir(), SegmentBytes: minSegment, KeepChanges: true}
	s, _, err := Open(o)
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Close()) }()
	end := func(n int) {
		for range n {
			appendAll(t, s, []event.Event{accountEvent("app1")})
			cutAll(t, s)
			for _, b := range s.Batches() {
				require.NoError(t, s.Resolve(b.ID, Resolution{Delivered: []int{0}}))
			}
		}
	}
	end(3)
	place := s.ChangesEnd()
	s.KeepFrom(place)
	segments := s.Usage().Segments
	for s.Usage().Segments < segments+3 {
		end(50)
	}
	s.Booked(s.ChangesEnd())
	ended := func() (ended int) {
		feed := s.ChangesFrom(place)
		defer func() { require.NoError(t, feed.Close()) }()
		kinds, next, missed := pages(t, feed)
		assert.False(t, missed)
		assert.Equal(t, s.ChangesEnd(), next)
		for _, k := range kinds {
			if k == BatchEnded {
				ended++
			}
		}
		return ended
	}
	assert.Equal(t, int(s.Counts().Delivered)-3, ended())
	s.KeepFrom(s.ChangesEnd())
	assert.Less(t, s.Usage().Segments, segments+3, "nothing is waited for any more")
}
