package sender

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
)

var start = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

// after is a moment of these tests.
func after(d time.Duration) time.Time { return start.Add(d) }

// always waits ten seconds.
func always(int) time.Duration { return 10 * time.Second }

// waiting makes a lane with batches that were sealed a second apart.
func waiting(n int) *lane {
	l := newLane(spool.LaneKey{ServiceID: "1"})
	for i := range n {
		l.head = append(l.head, spool.BatchInfo{
			ID: spool.BatchID{Position: spool.Position(i + 1)}, Sealed: after(time.Duration(i) * time.Second), Events: 10,
		})
	}
	return l
}

// fly picks a batch as the Sender does, and returns how many are in flight.
func fly(l *lane, now time.Time) int {
	if b := l.ready(now); b != nil {
		l.inFlight[b.ID] = struct{}{}
	}
	return len(l.inFlight)
}

func TestLaneMayHaveOneMoreInFlightAfterEachDelivery(t *testing.T) {
	l := waiting(9)
	for want := range 4 {
		for range 9 {
			fly(l, start)
		}
		assert.Len(t, l.inFlight, min(want+1, 3))
		l.succeed(start, 3)
	}
}

func TestLaneInTroubleWaitsAndThenTriesItsOldestAlone(t *testing.T) {
	l := waiting(3)
	l.allowance = 3
	require.Equal(t, 1, fly(l, start))
	delete(l.inFlight, l.head[0].ID)
	l.fail(Verdict{Kind: Retry, Code: "unavailable"}, start, after(time.Second), always)
	assert.Equal(t, Retrying, l.state())
	assert.Nil(t, l.ready(after(10*time.Second)))
	assert.Equal(t, &l.head[0], l.ready(after(11*time.Second)))
	assert.Equal(t, 1, fly(l, after(11*time.Second)))
	assert.Equal(t, 1, fly(l, after(12*time.Second)))
}

func TestFailuresOfOneMomentCountAsOne(t *testing.T) {
	l := waiting(3)
	v := Verdict{Kind: Retry}
	l.fail(v, start, after(2*time.Second), always)
	l.fail(v, after(time.Second), after(3*time.Second), always)
	assert.Equal(t, 1, l.trouble.failures)
	assert.Equal(t, after(12*time.Second), l.notBefore)
	l.fail(v, after(12*time.Second), after(13*time.Second), always)
	assert.Equal(t, 2, l.trouble.failures)
	assert.Equal(t, after(2*time.Second), l.trouble.since)
}

func TestStateOfALane(t *testing.T) {
	l := waiting(2)
	assert.Equal(t, Flowing, l.state())
	l.fail(Verdict{Kind: Ambiguous}, start, start, always)
	assert.Equal(t, Retrying, l.state())
	l.fail(Verdict{Kind: Hold}, after(time.Second), after(time.Second), always)
	assert.Equal(t, Held, l.state())
	l.succeed(after(time.Minute), 8)
	assert.Equal(t, Draining, l.state(), "batches from before are waiting")
	l.head = []spool.BatchInfo{{Sealed: after(2 * time.Minute)}}
	assert.Equal(t, Flowing, l.state())
}

func TestLanesTakeTurns(t *testing.T) {
	s := &Sender{options: Options{MaxInFlight: 4}.withDefaults(), limit: limit{now: 4, most: 4}, lanes: map[spool.LaneKey]*lane{}, schedule: newSchedule()}
	for _, id := range []string{"1", "2", "3"} {
		l := waiting(9)
		l.key.ServiceID, l.allowance = id, 9
		s.lanes[l.key] = l
		s.schedule.place(l, start)
	}
	for range 4 {
		l, b := s.pickLocked(start)
		require.NotNil(t, b)
		s.picks++
		l.picked = s.picks
		l.inFlight[b.ID] = struct{}{}
		s.inFlight++
		s.schedule.place(l, start)
	}
	for _, l := range s.lanes {
		assert.GreaterOrEqual(t, len(l.inFlight), 1)
		assert.LessOrEqual(t, len(l.inFlight), 2)
	}
	_, b := s.pickLocked(start)
	assert.Nil(t, b, "no room is left")
}

func TestManySickLanesLeaveRoomForAHealthyOne(t *testing.T) {
	s := &Sender{options: Options{MaxInFlight: 4}.withDefaults(), limit: limit{now: 4, most: 4}, lanes: map[spool.LaneKey]*lane{}, schedule: newSchedule()}
	for _, id := range []string{"1", "2", "3", "4", "5"} {
		l := waiting(1)
		l.key.ServiceID = id
		if id != "5" {
			l.fail(Verdict{Kind: Ambiguous}, start, start, func(int) time.Duration { return 0 })
		}
		s.lanes[l.key] = l
		s.schedule.place(l, start)
	}
	served := map[string]bool{}
	for {
		l, b := s.pickLocked(start)
		if b == nil {
			break
		}
		l.inFlight[b.ID] = struct{}{}
		s.inFlight++
		s.schedule.place(l, start)
		if l.trouble.exists() {
			s.inTrouble++
		}
		served[l.key.ServiceID] = true
	}
	assert.Len(t, served, 3)
	assert.True(t, served["5"])
}
