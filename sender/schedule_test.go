package sender

import (
	"context"
	"fmt"
	"math/bits"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// sealLanes accepts one event for each of n services and cuts them into a batch each.
func sealLanes(tb testing.TB, s *spool.Spool, n int) {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: fmt.Sprint(i), Transaction: hit("a", time.Now()).Transaction}
	}
	_, err := s.Append(context.Background(), events)
	require.NoError(tb, err)
	cut, err := s.BeginCut(spool.Position(s.Counts().Accepted))
	require.NoError(tb, err)
	for i := range events {
		require.NoError(tb, cut.Add(&spool.Batch{
			Lane: spool.LaneKey{ServiceID: events[i].ServiceID}, Transactions: []spool.Transaction{hit("a", time.Now())},
		}))
	}
	require.NoError(tb, cut.Commit(0))
}

// TestAWakeUpCostsWhatChanged counts the steps of the schedule for each report while the number of busy lanes doubles:
// a constant and the logarithm of the lanes, not the lanes.
func TestAWakeUpCostsWhatChanged(t *testing.T) {
	for lanes := 50; lanes <= 400; lanes *= 2 {
		inWorld(t, Options{}, func(w *world) {
			for i := range lanes {
				w.configure(fmt.Sprint(i), "t")
			}
			sealLanes(t, w.spool, lanes)
			w.wait(time.Second)
			require.EqualValues(t, lanes, w.spool.Counts().Delivered)
			w.sender.mu.Lock()
			each := float64(w.sender.schedule.steps) / float64(lanes)
			w.sender.mu.Unlock()
			t.Logf("%d lanes: %.1f steps a report", lanes, each)
			assert.Less(t, each, float64(10+4*bits.Len(uint(lanes))))
		})
	}
}

// TestAnIdleWakeUpTouchesNoLane: lanes that wait in backoff cost nothing when another lane delivers.
func TestAnIdleWakeUpTouchesNoLane(t *testing.T) {
	inWorld(t, Options{BackoffBase: time.Hour, BackoffMax: time.Hour}, func(w *world) {
		w.backend.behave(func(c call) reply {
			if c.service == "1" {
				return reply{}
			}
			return refuse(403, "service_token_invalid", "no")
		})
		for i := range 300 {
			w.configure(fmt.Sprint(i), "t")
		}
		sealLanes(t, w.spool, 300)
		w.wait(time.Second)
		w.sender.mu.Lock()
		before := w.sender.schedule.steps
		w.sender.mu.Unlock()
		w.seal("1", "a")
		w.wait(time.Second)
		w.sender.mu.Lock()
		defer w.sender.mu.Unlock()
		assert.Less(t, w.sender.schedule.steps-before, uint64(60))
	})
}

// BenchmarkManyLanes delivers one batch of one event for each of many services to a backend that answers at once.
func BenchmarkManyLanes(b *testing.B) {
	for _, lanes := range []int{250, 1000, 3000, 5000} {
		b.Run(fmt.Sprint(lanes), func(b *testing.B) {
			s, _, err := spool.Open(spool.Options{Dir: b.TempDir()})
			require.NoError(b, err)
			client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend.example", Transport: roundTrip(swallow)})
			require.NoError(b, err)
			known := func(string) (threescale.Credentials, bool) { return threescale.Credentials{ServiceToken: "t"}, true }
			for range b.N {
				sealLanes(b, s, lanes)
			}
			ctx, cancel := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			sender := New(s, client, known, zap.NewNop(), Options{})
			b.ResetTimer()
			go func() { ended <- sender.Run(ctx) }()
			for changed := s.Changed(); s.Counts().Pending > 0; changed = s.Changed() {
				<-changed
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N*lanes)/b.Elapsed().Seconds(), "reports/s")
			cancel()
			require.NoError(b, <-ended)
			require.NoError(b, s.Close())
		})
	}
}
