package ledger

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// stalled is a client that stops reading in the middle of an answer until it is let go.
type stalled struct {
	httptest.ResponseRecorder
	reached, letGo chan struct{}
	stopped        bool
}

func (s *stalled) Write(data []byte) (int, error) {
	if !s.stopped {
		s.stopped = true
		close(s.reached)
		<-s.letGo
	}
	return s.ResponseRecorder.Write(data)
}

// TestStalledReader: a client of the CSV export that stops reading holds up neither booking (which has to make the file
// larger meanwhile), nor other readers, nor the closing of the ledger. Once it reads on it gets each row once.
func TestStalledReader(t *testing.T) {
	l, err := Open(Options{Dir: t.TempDir(), Keep: 100 * 24 * time.Hour})
	require.NoError(t, err)
	l.db.NoSync = true
	r := &run{Ledger: l}
	grow := func(position, applications int) {
		b := &spool.Batch{ID: spool.BatchID{Position: spool.Position(position)}, Lane: spool.LaneKey{ServiceID: "1001"}, Sealed: benchFirst}
		for app := range applications {
			b.Transactions = append(b.Transactions, spool.Transaction{Events: 1, Transaction: threescale.Transaction{
				Application: threescale.Application{ID: fmt.Sprintf("app%d-%d", position, app)}, Timestamp: benchFirst.Unix(),
				Usage: threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "misses", Value: 1}},
			}})
		}
		r.gathered, r.next = []spool.BatchEvent{{Kind: spool.BatchSealed, Batch: b}}, uint64(position)
		require.NoError(t, r.commit(t.Context()))
	}
	grow(1, 12_000)
	client := &stalled{ResponseRecorder: *httptest.NewRecorder(), reached: make(chan struct{}), letGo: make(chan struct{})}
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		l.ServeHTTP(client, httptest.NewRequest(http.MethodGet, "/api/v1/ledger?format=csv&since=2026-11-01&until=2026-11-02", nil))
	}()
	<-client.reached
	booked := make(chan struct{})
	go func() {
		defer close(booked)
		for n := range 10 {
			grow(2+n, 10_000) // beyond what is mapped into memory by now
		}
		assert.Equal(t, http.StatusOK, asked(l, "since=2026-11-01&until=2026-11-02").Code)
	}()
	select {
	case <-booked:
	case <-time.After(20 * time.Second):
		t.Error("booking waits for a client that does not read")
	}
	close(client.letGo)
	<-answered
	<-booked
	lines := strings.Split(strings.TrimSpace(client.Body.String()), "\n")
	seen := map[string]bool{}
	for _, line := range lines[1:] {
		assert.False(t, seen[line], line)
		seen[line] = true
	}
	for app := range 12_000 {
		require.True(t, seen[fmt.Sprintf("2026-11-01T00:00:00Z,1001,app1-%d,hits,1,0,0,0,0,0,1,0,0,0,0", app)], app)
	}
	require.NoError(t, l.Close())
}
