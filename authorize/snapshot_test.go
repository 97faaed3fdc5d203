package authorize

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestDeployIsNoStampede: what was known before a stop is known after it, as old as it is, with its limits
// exact and its keys checked.
func TestDeployIsNoStampede(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t, nil)
		first.limited("kept", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100}, sandbox.Limit{Metric: "hits", Period: "minute", Max: 90})
		require.Equal(t, 64, first.hammer(64, "app_id", "kept", "usage[search]", "1"))
		first.deliver()
		first.accept("kept", "search_deep", 6)
		require.Equal(t, http.StatusOK, first.get("authorize", "app_id", "app1", "app_key", "key1").status)
		first.get("authorize", "app_id", "app1", "app_key", "wrong")
		saved := first.save()
		assert.NotContains(t, saved, "key1")
		assert.NotContains(t, saved, "stoken")
		events := first.journal.take()

		pass(10 * time.Second)
		second := newWorld(t, func(o *worldOptions) {
			o.Client = first.client
			o.pending = func() quota.Backlog { return unsealed(events) }
		})
		require.NoError(t, second.restore(saved))
		second.load()
		before := first.backend.calls()
		answer := second.get("authorize", "app_id", "kept", "usage[search]", "1")
		assert.EqualValues(t, 70, answer.current(t, "hits", threescale.Eternity))
		assert.EqualValues(t, 70, answer.current(t, "hits", threescale.Minute))
		assert.Equal(t, http.StatusOK, second.get("authorize", "app_id", "app1", "app_key", "key1").status)
		assert.Equal(t, before, first.backend.calls(), "nothing was asked")
		assert.Equal(t, 20, second.hammer(64, "app_id", "kept", "usage[search]", "1"), "up to the minute's limit")
		assert.Equal(t, 10*time.Second, second.Stats().OldestAge)
		assert.Equal(t, 10*time.Second, second.Stats().OldestAge, "reading it does not end the span")
		second.Scraped()
		assert.Zero(t, second.Stats().OldestAge)
		assert.Equal(t, "application_key_invalid", second.get("authorize", "app_id", "app1", "app_key", "wrong").rejection())
		pass(time.Minute)
		assert.Equal(t, 10, second.hammer(64, "app_id", "kept", "usage[search]", "1"), "up to eternity's")
	})
}

// TestNoSnapshot: what is no snapshot changes nothing.
func TestNoSnapshot(t *testing.T) {
	for _, text := range []string{"", "{}", `{"version":1,"secret":"AAAA"}`, `{"version":2}`, "nonsense",
		`{"version":1,"secret":"` + strings.Repeat("A", 43) + `=","quota":{"secret":"` + strings.Repeat("A", 43) + `="},"answers":[{"key":""}]}`,
		`{"secret":"` + strings.Repeat("A", 43) + `=","quota":{"secret":"` + strings.Repeat("A", 43) + `=","applications":[{"application":"00000000000000000000000000000000","limits":[{"period":99}]}]}}`} {
		w := newWorld(t, nil)
		secret := w.secret
		assert.Error(t, w.restore(text), text)
		assert.Equal(t, secret, w.secret)
		assert.Zero(t, w.Stats().Entries)
	}
}

// TestSnapshotOfTheFuture: with a clock that went back while the daemon was stopped, nothing is taken for
// younger than it is: a revoked key is, and a changed limit holds, within the TTL.
func TestSnapshotOfTheFuture(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t, nil)
		first.limited("back", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 100})
		require.Equal(t, http.StatusOK, first.get("authrep", "app_id", "back", "usage[hits]", "1").status)
		saved := first.save()
		year := time.Now().Year()
		text := strings.ReplaceAll(saved, fmt.Sprintf(`"%d-`, year), fmt.Sprintf(`"%d-`, year+1))
		require.NotEqual(t, text, saved)
		second := newWorld(t, func(o *worldOptions) { o.Client = first.client })
		require.NoError(t, second.restore(text))
		second.load()
		first.limited("back", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 5})
		pass(DefaultTTL)
		answer := second.get("authorize", "app_id", "back")
		assert.EqualValues(t, 5, answer.verdict(t).UsageReports[0].MaxValue)
	})
}

// TestFirstCallsAfterAStart: calls at once for the one answer that a file has all find it; none of them asks the backend.
func TestFirstCallsAfterAStart(t *testing.T) {
	first := newWorld(t, nil)
	require.Equal(t, http.StatusOK, first.get("authorize", "app_id", "app2").status)
	saved := first.save()
	before := first.backend.calls()
	for range 300 {
		second := newWorld(t, func(o *worldOptions) { o.Client = first.client })
		require.NoError(t, second.restore(saved))
		second.load()
		var all sync.WaitGroup
		begin := make(chan struct{})
		for range 8 {
			all.Go(func() {
				<-begin
				second.get("authorize", "app_id", "app2")
			})
		}
		close(begin)
		all.Wait()
	}
	assert.Equal(t, before, first.backend.calls())
}
