package sender

import (
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
)

// TestPassedOnFigures compares the figures of lanes that come, change and go with a walk over all of them.
func TestPassedOnFigures(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 0))
		p, all := &passedOnLanes{}, make([]*lane, 40)
		for i := range all {
			all[i] = newLane(spool.LaneKey{})
		}
		present := map[*lane]LaneStatus{}
		for range 300 {
			l := all[random.IntN(len(all))]
			if random.IntN(4) == 0 {
				p.remove(l)
				delete(present, l)
				continue
			}
			s := LaneStatus{
				State: laneStates[random.IntN(len(laneStates))], Batches: random.IntN(5), Events: random.Uint64N(9),
				Questioned: random.IntN(3), Parked: random.IntN(3), ParkedEvents: random.Uint64N(9),
			}
			if random.IntN(5) > 0 {
				s.Oldest = time.Unix(random.Int64N(1e9), random.Int64N(1e9))
			}
			p.count(l, s)
			present[l] = s
		}
		most := random.IntN(50)
		named, rest := p.oldest(most)
		require.Len(t, named, min(most, len(present)), "seed %d", seed)
		require.True(t, slices.IsSortedFunc(named, func(a, b *lane) int {
			switch x, y := present[a].Oldest, present[b].Oldest; {
			case olderThan(x, y):
				return -1
			case olderThan(y, x):
				return 1
			}
			return 0
		}), "seed %d", seed)
		want := map[State]LaneStatus{}
		for l, s := range present {
			if slices.Contains(named, l) {
				continue
			}
			if len(named) > 0 {
				require.False(t, olderThan(s.Oldest, present[named[len(named)-1]].Oldest), "seed %d", seed)
			}
			sum := want[s.State]
			sum.State, sum.PassedOn, sum.Lanes = s.State, true, sum.Lanes+1
			sum.Batches, sum.Events, sum.Questioned = sum.Batches+s.Batches, sum.Events+s.Events, sum.Questioned+s.Questioned
			sum.Parked, sum.ParkedEvents = sum.Parked+s.Parked, sum.ParkedEvents+s.ParkedEvents
			if olderThan(s.Oldest, sum.Oldest) {
				sum.Oldest = s.Oldest
			}
			want[s.State] = sum
		}
		require.Len(t, rest, len(want), "seed %d", seed)
		for _, sum := range rest {
			require.Equal(t, want[sum.State], sum, "seed %d", seed)
		}
	}
}

// TestLanesOfStrangersAreSummedUp: the oldest are named, the figures are those of all, and lanes that are done are gone.
func TestLanesOfStrangersAreSummedUp(t *testing.T) {
	inWorld(t, Options{BackoffBase: time.Hour, BackoffMax: time.Hour}, func(w *world) {
		w.configure("1000", "t")
		var accepted atomic.Bool
		w.backend.behave(func(c call) reply {
			if !accepted.Load() && c.service != "1000" {
				return refuse(403, "service_token_invalid", "no")
			}
			return reply{}
		})
		w.seal("1000", "own")
		w.sealStrangers(300)
		w.wait(time.Second)
		lanes := w.sender.Lanes(100)
		require.Len(t, lanes, 102)
		sum := lanes[101]
		assert.False(t, sum.Oldest.IsZero())
		sum.Oldest = time.Time{}
		assert.Equal(t, LaneStatus{Lanes: 200, PassedOn: true, State: Held, Batches: 200, Events: 200}, sum)
		assert.Len(t, w.sender.Lanes(1000), 301)
		accepted.Store(true)
		w.wait(2 * time.Hour)
		assert.Len(t, w.sender.Lanes(100), 1)
	})
}
