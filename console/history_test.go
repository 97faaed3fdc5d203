package console

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestHistory: a sample every ten seconds, those of six hours, the oldest first.
func TestHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	synctest.Test(t, func(t *testing.T) {
		accepted := uint64(0)
		h := NewHistory(func(int) Snapshot {
			accepted += 10
			return Snapshot{Events: Events{Accepted: accepted, Delivered: accepted - 5, Pending: 5}, Reports: Reports{Calls: 2}}
		}, HistoryOptions{File: file})
		c := New(Options{Snapshot: func(int) Snapshot { return complete }, Ready: func() error { return nil }, History: h})
		read := func() (page historyPage) {
			require.NoError(t, json.Unmarshal([]byte(bodyOf(t, ask(t, c, "/api/v1/history"))), &page))
			return page
		}
		assert.Equal(t, []uint64{}, read().Accepted, "[] and not null")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { h.Run(ctx); close(ended) }() // until cancel
		<-time.After(25 * time.Second)
		page := read()
		assert.Equal(t, []uint64{10, 20, 30}, page.Accepted)
		assert.Equal(t, []uint64{5, 15, 25}, page.Delivered)
		assert.Equal(t, []uint64{5, 5, 5}, page.Pending)
		assert.InDelta(t, historyEvery.Seconds(), page.Time[1]-page.Time[0], 0.01)
		<-time.After(7 * time.Hour)
		page = read()
		assert.Len(t, page.Time, int(historySpan/historyEvery)+1)
		assert.InDelta(t, historySpan.Seconds(), page.Time[len(page.Time)-1]-page.Time[0], 0.01)
		cancel()
		<-ended
		again := NewHistory(func(int) Snapshot { return Snapshot{} }, HistoryOptions{File: file})
		assert.Equal(t, h.page(), again.page(), "after a restart")
		<-time.After(5 * time.Hour)
		again = NewHistory(func(int) Snapshot { return Snapshot{} }, HistoryOptions{File: file})
		assert.InDelta(t, int(time.Hour/historyEvery), len(again.page().Time), 1, "only those of six hours")
		require.NoError(t, os.WriteFile(file, []byte(`{"time":[1`), 0o600))
		again = NewHistory(func(int) Snapshot { return Snapshot{} }, HistoryOptions{File: file})
		assert.Empty(t, again.page().Time, "a damaged file")
	})
}
