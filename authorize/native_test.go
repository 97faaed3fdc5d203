package authorize

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

func (w *world) post(path, body string) got {
	return w.send(httptest.NewRequest(http.MethodPost, path, strings.NewReader(body)))
}

// TestNativeDecisions: the JSON of the contract, from the same cache as the calls of 3scale.
func TestNativeDecisions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("json", sandbox.Limit{Metric: "hits", Period: "minute", Max: 3}, sandbox.Limit{Metric: "transfer", Period: "eternity", Max: 9})
		const ask = `{"service_id":"1001","app_id":"json","usage":{"hits":2}}`
		assert.JSONEq(t, `{"authorized":true,"plan":"Test","limits":[
			{"metric":"hits","period":"minute","max":3,"current":2,"resets_at":"2000-01-01T00:01:00Z"},
			{"metric":"transfer","period":"eternity","max":9,"current":0}],"source":"backend","age_seconds":0}`,
			w.post("/v1/authrep", ask).body)
		pass(1200 * time.Millisecond)
		denied := w.post("/v1/authorize", ask)
		assert.Equal(t, http.StatusOK, denied.status)
		assert.Equal(t, "application/json", denied.header.Get("Content-Type"))
		assert.JSONEq(t, `{"authorized":false,"reason":"limits_exceeded","message":"usage limits are exceeded","plan":"Test","limits":[
			{"metric":"hits","period":"minute","max":3,"current":2,"resets_at":"2000-01-01T00:01:00Z"},
			{"metric":"transfer","period":"eternity","max":9,"current":0}],"source":"cache","age_seconds":1.2}`, denied.body)
		assert.Len(t, w.journal.take(), 1)
		assert.Equal(t, http.StatusConflict, w.get("authrep", "app_id", "json", "usage[hits]", "2").status, "the same counters")
		assert.Equal(t, 1, w.backend.calls())
	})
}

// TestNativeProblems: where there is no decision.
func TestNativeProblems(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		for body, want := range map[string]struct {
			status int
			in     string
		}{
			`{"service_id":"1001","app_id":"nosuch"}`:                                 {404, `"code":"application_not_found"`},
			`{"service_id":"1002","user_key":"secret"}`:                               {404, `[redacted]`},
			`{"service_id":"1001","app_id":"app2","usage":{"nosuch":1}}`:              {404, `"code":"metric_invalid"`},
			`{"service_id":"9999","app_id":"app2"}`:                                   {404, `"code":"service_id_invalid"`},
			`{"app_id":"app2"}`:                                                       {400, `service_id: is required`},
			`{"service_id":"1001"}`:                                                   {400, `app_id`},
			`{"service_id":"1001","app_id":"a","user_key":"b"}`:                       {400, `not both`},
			`{"service_id":"1001","app_id":"app2","usage":{"hits":-1}}`:               {400, `usage`},
			`{"service_id":"1001","app_id":"app2","usage":{"hits":9007199254740992}}`: {400, `usage.hits`},
			`{"service_id":"1001","app_id":"app2","plan":"x"}`:                        {400, `plan`},
			`{"service_id":"1001","app_id":"app2","response_code":7}`:                 {400, `response_code`},
			`{} {}`:    {400, `more than one`},
			`nonsense`: {400, ``},
			`{"service_id":"` + strings.Repeat("x", maxNative) + `"}`: {413, ``},
		} {
			answer := w.post("/v1/authrep", body)
			assert.Equal(t, want.status, answer.status, body)
			assert.Equal(t, "application/problem+json", answer.header.Get("Content-Type"), body)
			assert.Contains(t, answer.body, want.in, body)
		}
		assert.Empty(t, w.journal.take())
		r := httptest.NewRequest(http.MethodGet, "/v1/authorize", nil)
		assert.Equal(t, http.StatusMethodNotAllowed, w.send(r).status)
	})
}

// TestNativeUnavailable: without an answer, and without a journal.
func TestNativeUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ask = `{"service_id":"1001","app_id":"app2","usage":{"hits":2}}`
		w := newWorld(t, nil)
		w.backend.set(true, 0)
		answer := w.post("/v1/authorize", ask)
		assert.Equal(t, http.StatusServiceUnavailable, answer.status)
		assert.Equal(t, "1", answer.header.Get("Retry-After"))
		w.backend.set(false, 0)
		require.Equal(t, http.StatusOK, w.post("/v1/authrep", ask).status)
		w.journal.fail = &event.Refused{Full: true, RetryAfter: 2500 * time.Millisecond, Err: errors.New("full")}
		answer = w.post("/v1/authrep", ask)
		assert.Equal(t, http.StatusTooManyRequests, answer.status)
		assert.Equal(t, "3", answer.header.Get("Retry-After"))
		assert.Equal(t, http.StatusOK, w.post("/v1/authorize", ask).status)
		allowing := newWorld(t, func(o *worldOptions) { o.Mode = Allow })
		allowing.backend.set(true, 0)
		assert.Contains(t, allowing.post("/v1/authrep", ask).body, `"authorized":true,"plan":"unknown","limits":[],"source":"mode"`)
		assert.Len(t, allowing.journal.take(), 1, "and billed")
	})
}

// TestNativeNamesOnce: a metric cannot be named twice, with blanks around it and without.
func TestNativeNamesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		w.limited("twice", sandbox.Limit{Metric: "hits", Period: "eternity", Max: 10})
		r := httptest.NewRequest(http.MethodPost, "/v1/authrep", strings.NewReader(`{"service_id":"1001","app_id":"twice","usage":{"hits":8," hits":7}}`))
		w.send(r)
		total := uint64(0)
		for _, e := range w.journal.take() {
			for _, u := range e.Usage {
				total += u.Value
			}
		}
		assert.LessOrEqual(t, total, uint64(10))
	})
}
