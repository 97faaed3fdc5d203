package sender

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// swallow takes every report at once.
func swallow(r *http.Request) (*http.Response, error) {
	_, err := io.Copy(io.Discard, r.Body)
	return &http.Response{StatusCode: http.StatusAccepted, Body: http.NoBody, Request: r}, err
}

// BenchmarkDelivery delivers batches of a thousand transactions to a backend that answers at once: load,
// attempt on disk, encode, call, resolve on disk. BenchmarkEncode is the part that no sender can do
// without.
func BenchmarkDelivery(b *testing.B) {
	s, _, err := spool.Open(spool.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	client, err := threescale.NewClient(threescale.ClientOptions{URL: "http://backend.example", Transport: roundTrip(swallow)})
	require.NoError(b, err)
	known := func(string) (threescale.Credentials, bool) { return threescale.Credentials{ServiceToken: "t"}, true }
	sender := New(Options{Spool: s, Client: client, Credentials: known, Log: zap.NewNop()})
	hits := thousand()
	events := make([]event.Event, len(hits))
	for i := range hits {
		events[i] = event.Event{ServiceID: "1", Transaction: hits[i].Transaction}
	}
	for range b.N {
		_, err := s.Append(b.Context(), events)
		require.NoError(b, err)
		cut, err := s.BeginCut(spool.Position(s.Counts().Accepted))
		require.NoError(b, err)
		require.NoError(b, cut.Add(&spool.Batch{Lane: spool.LaneKey{ServiceID: "1"}, Transactions: hits}))
		require.NoError(b, cut.Commit(0))
	}
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { ended <- sender.Run(ctx) }()
	for changed := s.Changed(); len(s.Lanes()) > 0; changed = s.Changed() {
		<-changed
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)*float64(len(hits))/b.Elapsed().Seconds(), "transactions/s")
	cancel()
	require.NoError(b, <-ended)
	require.NoError(b, s.Close())
}

// BenchmarkEncode writes the body of a report of a thousand transactions.
func BenchmarkEncode(b *testing.B) {
	hits := thousand()
	r := threescale.Report{ServiceID: "1", Credentials: threescale.Credentials{ServiceToken: "t"}}
	for i := range hits {
		r.Transactions = append(r.Transactions, hits[i].Transaction)
	}
	var body []byte
	b.ReportAllocs()
	for b.Loop() {
		body = r.AppendForm(body[:0])
	}
	b.ReportMetric(float64(b.N)*float64(len(hits))/b.Elapsed().Seconds(), "transactions/s")
}

// thousand is a full batch.
func thousand() []spool.Transaction {
	hits := make([]spool.Transaction, 0, threescale.MaxTransactions)
	for _, app := range apps(cap(hits)) {
		hits = append(hits, hit(app, time.Now()))
	}
	return hits
}
