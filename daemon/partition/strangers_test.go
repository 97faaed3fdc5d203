package partition

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// ofStranger is an event of a service that is not configured.
func ofStranger(service string) []event.Event {
	return []event.Event{{ServiceID: service, Credentials: threescale.Credentials{ServiceToken: "passed"}, Transaction: threescale.Transaction{
		Application: threescale.Application{ID: "app"}, Usage: threescale.Usage{{Metric: "hits", Value: 1}}, Timestamp: time.Now().Unix(),
	}}}
}

// bounded is the journal of a spool with limits.
func bounded(t *testing.T, s *spool.Spool, l StrangerLimits) *boundedJournal {
	t.Helper()
	accepted, err := loadTotals(zap.NewNop(), s)
	require.NoError(t, err)
	return newBoundedJournal(s, l, accepted)
}

// cutStrangers seals a batch for each event, of which the first stands for all the rest of the journal as well.
func cutStrangers(t *testing.T, s *spool.Spool, list ...event.Event) {
	t.Helper()
	uncut := uint32(s.Readable() - s.Committed())
	cut, err := s.BeginCut(s.Readable())
	require.NoError(t, err)
	for i := range list {
		events := uint32(1)
		if i == 0 {
			events = uncut - uint32(len(list)-1)
		}
		require.NoError(t, cut.Add(&spool.Batch{
			Lane:         spool.LaneKey{ServiceID: list[i].ServiceID, Credentials: list[i].Credentials},
			Transactions: []spool.Transaction{{Transaction: list[i].Transaction, Events: events}},
		}))
	}
	require.NoError(t, cut.Commit(0))
}

// TestStrangersAreBounded: beyond the bound of their lanes, new ones are refused and known ones are not, in the journal, in batches
// and after a restart; configured services are always taken. What is delivered makes room.
func TestStrangersAreBounded(t *testing.T) {
	dir := t.TempDir()
	s, _, err := spool.Open(spool.Options{Dir: dir})
	require.NoError(t, err)
	j := bounded(t, s, StrangerLimits{Lanes: 3})
	taken := func(list []event.Event) bool {
		_, err := j.Append(t.Context(), list)
		var refused *event.Refused
		if err != nil {
			require.True(t, errors.As(err, &refused) && refused.Full, "%v", err)
			assert.Contains(t, err.Error(), "backend.passthrough_lanes")
		}
		return err == nil
	}
	for range 2 {
		for i := range 3 {
			assert.True(t, taken(ofStranger(fmt.Sprint(i))))
		}
	}
	assert.False(t, taken(ofStranger("3")))
	own := ofStranger("1001")
	own[0].Credentials = threescale.Credentials{}
	assert.True(t, taken(own))

	cutStrangers(t, s, ofStranger("0")[0], ofStranger("1")[0], ofStranger("2")[0])
	for range 3 {
		assert.False(t, taken(ofStranger("3")), "those that are counted twice for a moment make no room either")
		assert.True(t, taken(ofStranger("1")))
	}
	require.NoError(t, s.Close())
	s, _, err = spool.Open(spool.Options{Dir: dir})
	require.NoError(t, err)
	j = bounded(t, s, StrangerLimits{Lanes: 3})
	assert.False(t, taken(ofStranger("3")), "a start knows the lanes")
	assert.Equal(t, 3, j.figures().Lanes)
	cutStrangers(t, s, ofStranger("1")[0])
	for _, b := range s.Batches() {
		require.NoError(t, s.Resolve(b.ID, spool.Resolution{Delivered: []int{0}}))
	}
	assert.Equal(t, spool.PassedOn{}, s.PassedOn())
	assert.True(t, taken(ofStranger("3")))
	require.NoError(t, s.Close())
}

// TestStrangersShare: their undelivered usage takes its share of the spool and no more.
func TestStrangersShare(t *testing.T) {
	s, _, err := spool.Open(spool.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	j := bounded(t, s, StrangerLimits{Bytes: 2000})
	for n := 0; ; n++ {
		require.Less(t, n, 1000)
		e := ofStranger("0")
		if _, err := j.Append(t.Context(), e); err != nil {
			assert.Contains(t, err.Error(), "backend.passthrough_share")
			assert.Greater(t, n, 10)
			break
		}
	}
	own := ofStranger("1001")
	own[0].Credentials = threescale.Credentials{}
	_, err = j.Append(t.Context(), own)
	assert.NoError(t, err)
	require.NoError(t, s.Close())
}
