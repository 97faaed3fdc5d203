package sender

import (
	"context"
	"fmt"
	"testing"
	"time"

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

// BenchmarkManyLanes delivers one batch of one event for each of many services to a backend that answers at once.
func BenchmarkManyLanes(b *testing.B) {
	for _, lanes := range []int{250, 1000, 3000, 5000, 10_000} {
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
			sender := New(Options{Spool: s, Client: client, Credentials: known, Log: zap.NewNop()})
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
