package ingest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// post has the handler answer one event without a network.
func post(h *Handler) int {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/v1/events", strings.NewReader(small)))
	return w.Code
}

func TestTroubleIsLoggedWhenItBeginsAndWhenItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.InfoLevel)
		journal := &memJournal{seen: make(map[string]bool)}
		h := NewHandler(Options{Services: []Service{{ID: "1001"}}, Journal: journal, Log: zap.New(core)})
		full := &event.Refused{Full: true, RetryAfter: time.Minute, Err: errQuota}

		require.Equal(t, 202, post(h))
		for range 3 { // near its limit a journal takes one request and refuses the next
			journal.err = full
			require.Equal(t, 429, post(h))
			journal.err = nil
			require.Equal(t, 202, post(h))
			<-time.After(time.Second)
		}
		require.Equal(t, 1, logs.Len())
		first := logs.TakeAll()[0]
		assert.Equal(t, "refusing events", first.Message)
		assert.Equal(t, "no room: quota of 1 MiB is used up", first.ContextMap()["error"])

		<-time.After(quietPeriod)
		require.Equal(t, 202, post(h))
		require.Equal(t, 202, post(h))
		require.Equal(t, 1, logs.Len())
		last := logs.TakeAll()[0].ContextMap()
		assert.Equal(t, 13*time.Second, last["after"])
		assert.EqualValues(t, 3, last["refused_requests"])

		journal.err = full
		require.Equal(t, 429, post(h))
		assert.Equal(t, 1, logs.Len(), "a new outage is logged again")
	})
}

func TestClientThatLeftIsNoTrouble(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	journal := &memJournal{err: fmt.Errorf("spool: append: %w", context.Canceled)}
	h := NewHandler(Options{Services: []Service{{ID: "1001"}}, Journal: journal, Log: zap.New(core)})
	assert.Equal(t, 503, post(h))
	assert.Zero(t, logs.Len())
}

// TestRefusalsAreFoundByTheirID: a refusal has the request's id, or one of its own, and the log at level debug has it, too.
func TestRefusalsAreFoundByTheirID(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	h := NewHandler(Options{Services: []Service{{ID: "1001"}}, Journal: &memJournal{seen: make(map[string]bool)}, Log: zap.New(core)})
	for path, status := range map[string]int{"/v1/events": 400, "/transactions.xml": 403} {
		for _, own := range []string{"", "trace-7"} {
			r := httptest.NewRequest(http.MethodPost, path, strings.NewReader("nonsense"))
			r.Header.Set("X-Request-ID", own)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			require.Equal(t, status, w.Code, path)
			id := w.Header().Get("X-Request-ID")
			if own != "" {
				assert.Equal(t, own, id)
			}
			require.Equal(t, 1, logs.Len())
			line := logs.TakeAll()[0].ContextMap()
			assert.NotEmpty(t, id)
			assert.Equal(t, id, line["request_id"])
			assert.EqualValues(t, status, line["status"])
		}
	}
}
