package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/internal/histogram"
)

// options show a daemon with a bit of everything.
func options() console.Options {
	return console.Options{
		Build:    console.Build{Version: "1.2.3", Commit: "abc", Go: "go1.26"},
		Started:  time.Now().Add(-time.Minute),
		Snapshot: func(int) console.Snapshot { return snapshot },
		Ready:    func() error { return nil },
		Flush:    func(context.Context) ([]console.FlushedLane, error) { return nil, nil },
		Reload: func([]string) (console.Reloaded, error) {
			return console.Reloaded{Applied: []string{"services"}, NeedsRestart: []string{}}, nil
		},
		DeadLetters: func(context.Context, console.DeadLetterQuery) (console.DeadLetters, error) {
			return console.DeadLetters{}, nil
		},
	}
}

var snapshot = console.Snapshot{
	Events: console.Events{Accepted: 1000, Duplicates: 7, Delivered: 890, Dead: 6, Pending: 100, Ambiguous: 5, Lost: 4},
	Spool: console.Spool{
		Bytes: 4096, Quota: 10 << 30, Free: 1, Quarantined: 12, Batches: 3, Segments: 2,
		OldestAge: 2100 * time.Millisecond, Sync: "always",
		Fsyncs: histogram.Snapshot{Bounds: []float64{0.001, 0.01}, Counts: []uint64{6, 9}, Count: 10, Sum: 0.05},
	},
	Commits: console.Commits{Groups: 10, Events: 1000},
	Window:  console.Window{Transactions: 4, Events: 40},
	Reports: console.Reports{
		Limit: 8, BreakerOpen: true, Alone: 1, Restamped: 5, RestampedEvents: 9,
		Calls: 4, Transactions: 37, InFlight: 1, Verdicts: map[string]uint64{"delivered": 3, "retry": 1},
		Answers:   []console.Answers{{Verdict: "delivered", Status: "202", Calls: 3}, {Verdict: "retry", Status: "none", Calls: 1}},
		Dead:      map[string]console.Buried{"application_not_found": {Transactions: 2, Events: 6}},
		Saturated: 1500 * time.Millisecond, Clock: console.Clock{Known: true, Own: true, Ahead: -3 * time.Second, Least: -10 * time.Second, Most: -3 * time.Second, Waiting: 2},
	},
	Lanes: []console.Lane{{
		ServiceID: "1001", State: "flowing", Batches: 1, Events: 100, OldestAge: 2100 * time.Millisecond,
		Questioned: 1, Probation: 12 * time.Second, Parked: 2, ParkedEvents: 3,
	}},
	Latest:   console.Latest{Accepted: 1790000100, Delivered: 1790000000},
	Held:     console.Held{Bytes: 10, Limit: 64 << 20},
	Services: []console.Service{{ID: "1001", Ended: console.Ended{Delivered: 890, Dead: 6}}},
	Reload:   console.Reload{Done: 2, Refused: 1, Failed: true},
	NATS:     console.NATS{Refused: map[string]uint64{"invalid_message": 1}, Stream: map[string]uint64{"acknowledged": 1}},
	Authorize: console.Authorize{
		Answers: map[string]uint64{"cache": 1}, Denied: map[string]uint64{"limits_exceeded": 1},
	},
	Proof:   console.Proof{Known: 300, Waiting: 2, Asked: 11, Failed: 1},
	Traffic: []console.Traffic{{Transport: "events", Requests: map[int]uint64{202: 9, 422: 1}, Events: 1000, Bytes: 9000}},
}

func ask(t *testing.T, o console.Options, method, target string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	console.New(o).ServeHTTP(w, r)
	conforms(t, r, nil, w)
	return w
}

func TestStatus(t *testing.T) {
	w := ask(t, options(), "GET", "/api/v1/status")
	require.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var page map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &page))
	assert.InDelta(t, 60, page["uptime_seconds"], 5)
	delete(page, "uptime_seconds")
	got, err := json.Marshal(page)
	require.NoError(t, err)
	assert.JSONEq(t, `{"version":"1.2.3",
		"summary":{"level":"help","sentence":"2 reports are parked: 3scale may or may not have counted them. 3scale does not answer.",
			"advice":"Decide with reporterd parked; reporterd reconcile shows what was counted."},
		"events":{"accepted":1000,"duplicates":7,"delivered":890,"dead":6,"pending":100,"ambiguous":5,"lost":4},
		"spool":{"bytes":4096,"quota_bytes":10737418240,"free_bytes":1,"batches":3,"oldest_age_seconds":2.1},
		"backend":{"report_calls":4,"transactions":37,"in_flight_limit":8,"breaker_open":true,"restamped_events":9,"questions":11,"questions_waiting":2,
			"clock":{"state":"agrees","source":"backend","ahead_at_least":-10,"ahead_at_most":-3,"waiting_batches":2}},
		"lanes":[{"service_id":"1001","state":"flowing","batches":1,"events":100,"oldest_age_seconds":2.1,"last_error":"",
			"probation_batches":1,"probation_seconds":12,"parked_batches":2,"parked_events":3}],
		"services":[{"service_id":"1001","delivered":890,"dead":6,"batches":1,"events":100,"oldest_age_seconds":2.1},
			{"service_id":"other","delivered":0,"dead":0,"batches":0,"events":0,"oldest_age_seconds":0}]}`,
		string(got))
}

func TestStatusOfAnIdleDaemonHasAnEmptyListOfLanes(t *testing.T) {
	o := options()
	o.Snapshot = func(int) console.Snapshot { return console.Snapshot{} }
	assert.Contains(t, ask(t, o, "GET", "/api/v1/status").Body.String(), `"lanes":[]`)
}

func TestHealth(t *testing.T) {
	o := options()
	w := ask(t, o, "GET", "/readyz")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, "ok\n", w.Body.String())

	o.Ready = func() error { return errors.New("spool: no room: quota reached") }
	w = ask(t, o, "GET", "/readyz")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.Equal(t, "not ready: spool: no room: quota reached\n", w.Body.String())
	assert.Equal(t, http.StatusOK, ask(t, o, "GET", "/livez").Code, "alive, all the same")
}

func TestFlushAnswersWhenItIsDone(t *testing.T) {
	o, flushed := options(), false
	o.Flush = func(context.Context) ([]console.FlushedLane, error) { flushed = true; return nil, nil }
	w := ask(t, o, "POST", "/-/flush")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Contains(t, w.Body.String(), `"flushed":true`)
	assert.True(t, flushed)

	lanes := []console.FlushedLane{{ServiceID: "1001", Result: "delivered", State: "flowing"}, {ServiceID: "1002", Result: "parked", State: "parked", Batches: 1, Events: 2, Parked: 1}}
	o.Flush = func(context.Context) ([]console.FlushedLane, error) { return lanes, nil }
	var answer console.Flushed
	require.NoError(t, json.Unmarshal(ask(t, o, "POST", "/-/flush").Body.Bytes(), &answer))
	assert.True(t, answer.Flushed, "what is parked waits for a decision, not for a flush")
	assert.Equal(t, lanes, answer.Lanes)
	lanes = append(lanes, console.FlushedLane{ServiceID: "1003", Result: "failed", State: "held", LastError: "service_token_invalid"})
	require.NoError(t, json.Unmarshal(ask(t, o, "POST", "/-/flush").Body.Bytes(), &answer))
	assert.False(t, answer.Flushed)

	o.Flush = func(context.Context) ([]console.FlushedLane, error) { return nil, errors.New("stopping") }
	w = ask(t, o, "POST", "/-/flush")
	assert.Equal(t, http.StatusServiceUnavailable, w.Code)
	assert.JSONEq(t, `{"title":"Service Unavailable","status":503,"detail":"stopping"}`, w.Body.String())
}

func TestAPageOfAnotherSiteCannotFlush(t *testing.T) {
	o := options()
	o.Flush = func(context.Context) ([]console.FlushedLane, error) { t.Error("flushed"); return nil, nil }
	assert.Equal(t, http.StatusForbidden, ask(t, o, "POST", "/-/flush", "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, http.StatusForbidden, ask(t, o, "POST", "/-/flush", "Origin", "https://evil.example").Code)
	assert.Equal(t, http.StatusMethodNotAllowed, ask(t, o, "GET", "/-/flush").Code)
}

func TestTheProfilerIsOffByDefault(t *testing.T) {
	o := options()
	assert.Equal(t, http.StatusNotFound, ask(t, o, "GET", "/debug/pprof/").Code)
	assert.NotContains(t, ask(t, o, "GET", "/").Body.String(), "pprof")
	o.Pprof = true
	assert.Equal(t, http.StatusOK, ask(t, o, "GET", "/debug/pprof/").Code)
	assert.Contains(t, ask(t, o, "GET", "/").Body.String(), "pprof")
}

func TestDeadLettersAreAskedForAsTheQuerySays(t *testing.T) {
	o := options()
	var asked console.DeadLetterQuery
	o.DeadLetters = func(_ context.Context, q console.DeadLetterQuery) (console.DeadLetters, error) {
		asked = q
		return console.DeadLetters{Letters: []json.RawMessage{[]byte(`{"id":"1"}`)}, Next: "n"}, nil
	}
	w := ask(t, o, "GET", "/api/v1/deadletters?service_id=1001&reason=metric_invalid&since=2026-11-21T19:00:00Z&until=1795000000&limit=5&cursor=c")
	assert.JSONEq(t, `{"deadletters":[{"id":"1"}],"next":"n"}`, w.Body.String())
	assert.Equal(t, console.DeadLetterQuery{
		ServiceID: "1001", Reason: "metric_invalid", Since: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC),
		Until: time.Unix(1795000000, 0).UTC(), Limit: 5, Cursor: "c",
	}, asked)

	ask(t, o, "GET", "/api/v1/deadletters")
	assert.Equal(t, console.DeadLetterQuery{Limit: 100}, asked)
}

func TestDeadLettersRefuseWhatTheyDoNotUnderstand(t *testing.T) {
	o := options()
	for query, detail := range map[string]string{
		"limit=0":       `limit: "0": expected 1 to 1000`,
		"limit=1001":    `limit: "1001": expected 1 to 1000`,
		"since=monday":  `since: "monday": expected RFC 3339, a day, Unix seconds, how long ago (90m, 7d), now-30d/d, today, yesterday, week, month, or {date.add(-30).format()}`,
		"service=1001":  `"service": unknown parameter: expected service_id, reason, since, until, limit or cursor`,
		"service_id=%3": `invalid URL escape "%3"`,
	} {
		w := ask(t, o, "GET", "/api/v1/deadletters?"+query)
		assert.Equal(t, http.StatusBadRequest, w.Code, query)
		assert.Contains(t, w.Body.String(), mustJSON(t, detail), query)
	}
	o.DeadLetters = func(context.Context, console.DeadLetterQuery) (console.DeadLetters, error) {
		return console.DeadLetters{}, errors.New("spool: deadletters: input/output error")
	}
	assert.Equal(t, http.StatusInternalServerError, ask(t, o, "GET", "/api/v1/deadletters").Code)
	assert.JSONEq(t, `{"deadletters":[],"next":""}`, ask(t, options(), "GET", "/api/v1/deadletters").Body.String())
}

func mustJSON(t *testing.T, text string) string {
	t.Helper()
	out, err := json.Marshal(text)
	require.NoError(t, err)
	return string(out)
}

func TestReload(t *testing.T) {
	o := options()
	w := ask(t, o, http.MethodPost, "/-/reload")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"reloaded":true,"applied":["services"],"needs_restart":[]}`, w.Body.String())
	o.Reload = func([]string) (console.Reloaded, error) {
		return console.Reloaded{}, errors.New("r.yaml:3: nosuch: no such key")
	}
	w = ask(t, o, http.MethodPost, "/-/reload")
	assert.Equal(t, http.StatusUnprocessableEntity, w.Code)
	assert.Contains(t, w.Body.String(), "r.yaml:3: nosuch: no such key")
}

// TestOrdersAreKept: a request that changes something gets an id, and the log says what was asked for and how it was answered.
func TestOrdersAreKept(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	o := options()
	o.Log = zap.New(core)
	ask(t, o, http.MethodGet, "/api/v1/status")
	require.Zero(t, logs.Len(), "reading is no order")
	got := ask(t, o, http.MethodPost, "/-/flush", "X-Request-ID", "change-9")
	assert.Equal(t, "change-9", got.Header().Get("X-Request-ID"))
	missing := ask(t, o, http.MethodPost, "/api/v1/parked/x/nonsense")
	assert.NotEmpty(t, missing.Header().Get("X-Request-ID"))
	require.Equal(t, 2, logs.Len())
	line := logs.All()[0].ContextMap()
	assert.Equal(t, "change-9", line["request_id"])
	assert.Equal(t, "POST /-/flush", line["order"])
	assert.EqualValues(t, got.Code, line["status"])
	assert.EqualValues(t, missing.Code, logs.All()[1].ContextMap()["status"])
}
