package console_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/console"
)

// post sends JSON, unless header says otherwise.
func post(t *testing.T, o console.Options, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	console.New(o).ServeHTTP(w, r)
	conforms(t, r, []byte(body), w)
	return w
}

func TestOneDeadLetter(t *testing.T) {
	o := options()
	o.DeadLetter = func(_ context.Context, id string) (json.RawMessage, error) {
		switch id {
		case "000000000003-0000-0002":
			return json.RawMessage(`{"id":"000000000003-0000-0002"}`), nil
		case "broken":
			return nil, errors.New("input/output error")
		}
		return nil, console.ErrNoDeadLetter
	}
	w := ask(t, o, "GET", "/api/v1/deadletters/000000000003-0000-0002")
	assert.Equal(t, http.StatusOK, w.Code)
	assert.JSONEq(t, `{"id":"000000000003-0000-0002"}`, w.Body.String())
	assert.Equal(t, http.StatusNotFound, ask(t, o, "GET", "/api/v1/deadletters/000000000003-0000-0003").Code)
	assert.Equal(t, http.StatusInternalServerError, ask(t, o, "GET", "/api/v1/deadletters/broken").Code)
}

func TestOrdersAreReadAsWritten(t *testing.T) {
	o := options()
	var asked console.DeadLetterOrder
	o.Requeue = func(_ context.Context, order console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
		asked = order
		return console.DeadLetterOutcome{Letters: 1, Events: 3, IDs: []string{"a"}, Next: "a"}, nil
	}
	w := post(t, o, "/api/v1/deadletters/requeue",
		`{"service_id":"1001","reason":"metric_invalid","since":"2026-11-21T19:00:00Z","until":"1795000000","limit":7,"cursor":"c","restamp":true}`)
	require.Equal(t, http.StatusOK, w.Code, w.Body.String())
	assert.JSONEq(t, `{"dry_run":false,"letters":1,"events":3,"ids":["a"],"errors":[],"next":"a"}`, w.Body.String())
	assert.Equal(t, console.DeadLetterOrder{Restamp: true, Query: console.DeadLetterQuery{
		ServiceID: "1001", Reason: "metric_invalid", Since: time.Date(2026, 11, 21, 19, 0, 0, 0, time.UTC),
		Until: time.Unix(1795000000, 0).UTC(), Limit: 7, Cursor: "c",
	}}, asked)

	post(t, o, "/api/v1/deadletters/requeue", `{"ids":["x","y"],"dry_run":true}`)
	assert.Equal(t, console.DeadLetterOrder{IDs: []string{"x", "y"}, DryRun: true, Query: console.DeadLetterQuery{Limit: 100}}, asked)
	post(t, o, "/api/v1/deadletters/requeue", `{"all":true}`)
	assert.Equal(t, console.DeadLetterOrder{Query: console.DeadLetterQuery{Limit: 100}}, asked)
}

func TestOrdersThatAreNotClearAreRefused(t *testing.T) {
	o := options()
	o.Drop = func(context.Context, console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
		t.Error("dropped")
		return console.DeadLetterOutcome{}, nil
	}
	for body, detail := range map[string]string{
		`{}`:                                `name ids, or a filter (service_id, reason, since, until), or set "all": true`,
		`{"dry_run":true}`:                  `name ids, or a filter`,
		`{"ids":["a"],"reason":"b"}`:        `ids cannot be given together with a filter or all`,
		`{"ids":["a"],"all":true}`:          `ids cannot be given together with a filter or all`,
		`{"service":"1001"}`:                `unknown field`,
		`{"all":true,"limit":1001}`:         `limit: 1001: expected 1 to 1000`,
		`{"since":"monday"}`:                `since: "monday": expected RFC 3339, a day, Unix seconds, how long ago (90m, 7d), now-30d/d, today, yesterday, week, month, or {date.add(-30).format()}`,
		`{"until":"monday"}`:                `until: "monday": expected RFC 3339, a day, Unix seconds, how long ago (90m, 7d), now-30d/d, today, yesterday, week, month, or {date.add(-30).format()}`,
		`{"all":true}{"all":true}`:          `expected one JSON object`,
		`{"all":true}}`:                     `expected one JSON object`,
		`{"all":true} ]`:                    `expected one JSON object`,
		`all`:                               `body: invalid character`,
		strings.Repeat(" ", 300<<10) + `{}`: `request body too large`,
	} {
		w := post(t, o, "/api/v1/deadletters/drop", body)
		assert.Equal(t, http.StatusBadRequest, w.Code, body[:min(len(body), 40)])
		var problem struct{ Detail string }
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &problem))
		assert.Contains(t, problem.Detail, detail)
	}
}

// A page that an operator's browser shows cannot give orders, neither by a form nor by a script.
func TestAPageOfAnotherSiteCannotOrder(t *testing.T) {
	o := options()
	o.Drop = func(context.Context, console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
		t.Error("dropped")
		return console.DeadLetterOutcome{}, nil
	}
	const target, body = "/api/v1/deadletters/drop", `{"all":true}`
	assert.Equal(t, http.StatusForbidden, post(t, o, target, body, "Sec-Fetch-Site", "cross-site").Code)
	assert.Equal(t, http.StatusForbidden, post(t, o, target, body, "Origin", "https://evil.example").Code)
	assert.Equal(t, http.StatusUnsupportedMediaType, post(t, o, target, body, "Content-Type", "text/plain").Code)
	assert.Equal(t, http.StatusUnsupportedMediaType, post(t, o, target, body, "Content-Type", "").Code)
	assert.Equal(t, http.StatusMethodNotAllowed, ask(t, o, "DELETE", target).Code)
}

func TestAnOrderThatFailsSaysSo(t *testing.T) {
	o := options()
	o.Drop = func(context.Context, console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
		return console.DeadLetterOutcome{}, errors.New("spool: dead letters: input/output error")
	}
	assert.Equal(t, http.StatusInternalServerError, post(t, o, "/api/v1/deadletters/drop", `{"all":true}`).Code)
}
