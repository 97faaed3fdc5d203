package portal

import (
	"context"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/threescale/sandbox"
)

// A book holds the catalogue by name and number, and keeps it while the portal cannot be read.
func TestBook(t *testing.T) {
	var broken atomic.Bool
	s := sandbox.New(sandbox.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken.Load() {
			http.Error(w, `{"error":"Access denied"}`, http.StatusForbidden)
			return
		}
		s.ServeHTTP(w, r)
	}))
	defer server.Close()
	c, err := New(Options{URL: server.URL, Token: sandbox.AccessToken, PerSecond: 10_000})
	require.NoError(t, err)
	core, logged := observer.New(zap.InfoLevel)
	b := NewBook(c, names, zap.New(core))
	assert.Empty(t, b.Services(), "nothing was read yet")
	assert.Empty(t, (*Book)(nil).Parents("1001"))

	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { b.Run(ctx, time.Millisecond, func() {}); close(done) }() // ended by cancel
	require.Eventually(t, func() bool { return !b.At().IsZero() }, 5*time.Second, time.Millisecond)
	assert.NotEmpty(t, b.Services())
	assert.Equal(t, "hits", b.Parents("1001")["search"])
	assert.Equal(t, "search", b.Parents("1001")["search_deep"])
	assert.NotEmpty(t, b.Metrics("1001"))
	apps := b.Applications("1001")
	require.NotEmpty(t, apps)
	assert.IsIncreasing(t, idsOf(apps))
	assert.Contains(t, reported(b.Applications("1002")), "key of uk")

	broken.Store(true)
	require.Eventually(t, func() bool { return logged.FilterMessageSnippet("cannot be read").Len() == 1 }, 5*time.Second, time.Millisecond)
	assert.NotEmpty(t, b.Services(), "what was read stays")
	cancel()
	<-done
}

func idsOf(all []Application) (ids []int64) {
	for _, a := range all {
		ids = append(ids, a.ID)
	}
	return ids
}

func reported(all []Application) (names []string) {
	for _, a := range all {
		names = append(names, a.Reported)
	}
	return names
}
