package source

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/threescale/portal"
)

// answering is a side that answers a list of one service, or fails.
type answering struct {
	err   atomic.Pointer[portal.Error] // nil: it answers
	calls atomic.Int32

	mu    sync.Mutex  // guards times
	times []time.Time // of the calls
}

// asked returns when the calls were made.
func (a *answering) asked() []time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return slices.Clone(a.times)
}

func (a *answering) side() *Side {
	return &Side{Get: func(context.Context, string, url.Values) (json.RawMessage, error) {
		a.calls.Add(1)
		a.mu.Lock()
		a.times = append(a.times, time.Now())
		a.mu.Unlock()
		if err := a.err.Load(); err != nil {
			return nil, err
		}
		return json.RawMessage(`{"services":[{"service":{"id":1001,"name":"Orders"}}]}`), nil
	}}
}

// ask answers a request as the reader listener does.
func ask(s *Store, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.Handler(HandlerOptions{}).ServeHTTP(w, r)
	return w
}

const tokenOfSecret = "token_sha256: 2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b"

// TestAnHourOfOutage: while 3scale is away the last good answer is served with its age, 3scale is asked seldom, and the answer is
// new soon after it is back.
func TestAnHourOfOutage(t *testing.T) {
	for about, failure := range map[string]*portal.Error{
		"it cannot be reached": {Fault: portal.FaultReach, Err: errors.New("connection refused")},
		"500":                  {Fault: portal.FaultServer, Status: 500, Path: "/admin/api/services.json"},
		"429, ten minutes":     {Fault: portal.FaultRate, Status: 429, RetryAfter: 10 * time.Minute},
		"a page of HTML":       {Fault: portal.FaultHost, Status: 200, Text: "a page for people"},
	} {
		synctest.Test(t, func(t *testing.T) {
			var p answering
			s := New(Options{Sides: func() Sides { return Sides{ThreeScale: p.side()} }})
			s.Apply([]*Source{sourceOf(t, "name: services", "from: 3scale", "question: services", "refresh: 5m", tokenOfSecret)})
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { s.Run(ctx); close(ended) }()
			synctest.Wait()
			w := ask(s, "/sources/services.json?access_token=secret")
			require.Equal(t, http.StatusOK, w.Code, w.Body)
			assert.Contains(t, w.Body.String(), `"age_seconds":0,"stale":false,`)
			fresh := w.Header().Get("ETag")

			p.err.Store(failure)
			before := p.calls.Load()
			<-time.After(time.Hour)
			synctest.Wait()
			w = ask(s, "/sources/services.json?access_token=secret", "If-None-Match", fresh)
			require.Equal(t, http.StatusOK, w.Code, "%s: staleness is news", about)
			assert.Contains(t, w.Body.String(), `"age_seconds":3600,"stale":true,"reason":"portal: `+string(failure.Fault), about)
			assert.Contains(t, w.Body.String(), `{"id":1001,"name":"Orders"}`)
			assert.Equal(t, "3600", w.Header().Get("X-Reporterd-Age"))
			asked := int(p.calls.Load() - before)
			assert.Equal(t, Counts{Stale: 1, Oldest: time.Hour, Asked: uint64(before) + uint64(asked), Failed: uint64(asked)}, s.Counts(), about)
			assert.LessOrEqual(t, asked, 30, about)
			assert.GreaterOrEqual(t, asked, 4, about)
			times := p.asked()
			for i := int(before) + 1; i < len(times); i++ {
				assert.GreaterOrEqual(t, times[i].Sub(times[i-1]), max(failure.RetryAfter, 5*time.Second), about)
			}

			p.err.Store(nil)
			<-time.After(12 * time.Minute)
			synctest.Wait()
			w = ask(s, "/sources/services.json?access_token=secret")
			assert.Contains(t, w.Body.String(), `"stale":false,`, about)
			assert.Equal(t, fresh, w.Header().Get("ETag"), "the same rows, the same tag")
			assert.Equal(t, 1, s.Counts().Fresh, about)
			cancel()
			<-ended
		})
	}
}

// TestOneBadSource: a question that 3scale refuses does not keep other questions waiting.
func TestOneBadSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var good, bad int
		side := &Side{Get: func(_ context.Context, path string, _ url.Values) (json.RawMessage, error) {
			if path != "/admin/api/services.json" {
				bad++
				return nil, &portal.Error{Fault: portal.FaultHost, Status: 404}
			}
			good++
			return json.RawMessage(`{"services":[]}`), nil
		}}
		s := New(Options{Sides: func() Sides { return Sides{ThreeScale: side} }})
		s.Apply([]*Source{
			sourceOf(t, "name: bad", "from: 3scale", "path: /admin/api/nosuch.json", "refresh: 1m"),
			sourceOf(t, "name: good", "from: 3scale", "question: services", "refresh: 1m"),
		})
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		s.Run(ctx)
		assert.Greater(t, good, 45)
		assert.Less(t, bad, 40)
	})
}

// TestRestart: the last good answer survives a restart, unless the question is another one.
func TestRestart(t *testing.T) {
	dir := t.TempDir()
	var p answering
	o := Options{Dir: dir, Sides: func() Sides { return Sides{ThreeScale: p.side()} }}
	src := sourceOf(t, "name: services", "from: 3scale", "question: services", tokenOfSecret)
	before := New(o)
	before.Apply([]*Source{src})
	before.refresh(t.Context(), src)
	want := ask(before, "/sources/services.csv?access_token=secret")
	require.Equal(t, http.StatusOK, want.Code)
	require.Equal(t, "id,name\n1001,Orders\n", want.Body.String())

	p.err.Store(&portal.Error{Fault: portal.FaultReach})
	after := New(o)
	after.Apply([]*Source{sourceOf(t, "name: services", "from: 3scale", "question: services", tokenOfSecret)})
	got := ask(after, "/sources/services.csv?access_token=secret")
	assert.Equal(t, want.Body.String(), got.Body.String())
	assert.Equal(t, want.Header().Get("ETag"), got.Header().Get("ETag"))
	assert.Equal(t, want.Header().Get("Last-Modified"), got.Header().Get("Last-Modified"))

	after.Apply([]*Source{sourceOf(t, "name: services", "from: 3scale", "question: accounts", tokenOfSecret)})
	assert.Equal(t, http.StatusServiceUnavailable, ask(after, "/sources/services.csv?access_token=secret").Code)
	after.Apply(nil)
	assert.FileExists(t, dir+"/services.json", "a file that was emptied by mistake loses no answer")
	assert.Equal(t, http.StatusForbidden, ask(after, "/sources/services.csv?access_token=secret").Code)
}

// TestHandler: a token opens its source and nothing else, and a listener that reads does nothing else.
func TestHandler(t *testing.T) {
	var p answering
	src := sourceOf(t, "name: services", "from: 3scale", "question: services", tokenOfSecret)
	shut := sourceOf(t, "name: shut", "from: 3scale", "question: services")
	s := New(Options{Sides: func() Sides { return Sides{ThreeScale: p.side()} }})
	s.Apply([]*Source{src, shut})
	s.refresh(t.Context(), src)
	s.refresh(t.Context(), shut)
	for target, want := range map[string]int{
		"/sources/services.json?access_token=secret": 200, "/sources/services.ndjson?access_token=secret": 200, "/sources/services.json": 401,
		"/sources/services.json?access_token=wrong": 403, "/sources/shut.json?access_token=secret": 403, "/sources/shut.json": 401,
		"/sources/nosuch.json?access_token=secret": 403, "/sources/nosuch.json": 401, "/sources/services.xml?access_token=secret": 404,
		"/": 404, "/metrics": 404, "/api/v1/status": 404, "/livez": 404, "/sources/": 404, "/sources/services": 404, "/sources/.json": 404, "/-/flush": 404,
	} {
		assert.Equal(t, want, ask(s, target).Code, target)
	}
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete, "PATCH"} {
		w := httptest.NewRecorder()
		s.Handler(HandlerOptions{}).ServeHTTP(w, httptest.NewRequest(method, "/sources/services.json?access_token=secret", nil))
		assert.Equal(t, http.StatusMethodNotAllowed, w.Code, method)
	}
	w := ask(s, "/sources/services.json", "Authorization", "Bearer secret")
	require.Equal(t, http.StatusOK, w.Code)
	var got struct {
		Columns []Column
		Rows    []map[string]any
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &got))
	assert.Equal(t, []Column{{"id", "integer"}, {"name", "string"}}, got.Columns)
	assert.Equal(t, []map[string]any{{"id": 1001., "name": "Orders"}}, got.Rows)
	assert.Equal(t, "private, max-age=900", w.Header().Get("Cache-Control"))
	again := ask(s, "/sources/services.json", "Authorization", "Bearer secret", "If-None-Match", w.Header().Get("ETag"))
	assert.Equal(t, http.StatusNotModified, again.Code)
	assert.Empty(t, again.Body.String())
	again = ask(s, "/sources/services.csv", "Authorization", "Bearer secret", "If-Modified-Since", w.Header().Get("Last-Modified"))
	assert.Equal(t, http.StatusNotModified, again.Code)

	w = httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodOptions, "/sources/services.json", nil)
	r.Header.Set("Origin", "https://dashboards.example.com")
	s.Handler(HandlerOptions{Origins: []string{"https://dashboards.example.com"}}).ServeHTTP(w, r)
	assert.Equal(t, []any{204, "https://dashboards.example.com"}, []any{w.Code, w.Header().Get("Access-Control-Allow-Origin")})
}

// TestFaultsOfThePortal: when a real server answers with something else than a whole and good answer, the last one stays, with the reason.
func TestFaultsOfThePortal(t *testing.T) {
	for about, c := range map[string]struct {
		answer http.HandlerFunc
		reason string
	}{
		"HTML with 200": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = w.Write([]byte("<html>Sign in</html>"))
		}, "it is no admin portal"},
		"half an answer": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(`{"services":[{"service":{"id":1001`))
		}, "its answer is not the one to this question"},
		"429": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, "it is asked too often"},
		"500": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "it fails"},
		"403": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`{"error":"Access denied"}`))
		}, "it does not know the access token"},
	} {
		t.Run(about, func(t *testing.T) {
			t.Parallel()
			keepsLastAnswer(t, c.answer, c.reason)
		})
	}
}

// keepsLastAnswer refreshes a source from a portal that answers well, and then with a fault.
func keepsLastAnswer(t *testing.T, fault http.HandlerFunc, reason string) {
	var faulty atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if faulty.Load() {
			fault(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"services":[{"service":{"id":1001,"name":"Orders"}}]}`))
	}))
	defer server.Close()
	client, err := portal.New(portal.Options{URL: server.URL, Token: "token", PerSecond: 10_000, Timeout: 5 * time.Second})
	require.NoError(t, err)
	defer client.Close()
	s := New(Options{Sides: func() Sides { return Sides{ThreeScale: Portal(client, nil, nil)} }})
	src := sourceOf(t, "name: services", "from: 3scale", "question: services", tokenOfSecret)
	s.Apply([]*Source{src})
	s.refresh(t.Context(), src)
	faulty.Store(true)
	s.refresh(t.Context(), src)
	w := ask(s, "/sources/services.json?access_token=secret")
	assert.Contains(t, w.Body.String(), `"stale":true,"reason":"portal: `+reason)
	assert.Contains(t, w.Body.String(), `{"id":1001,"name":"Orders"}`)
	assert.NotContains(t, w.Body.String(), "token\"")
	if reason == "it is asked too often" {
		calls := client.Calls()
		s.refresh(t.Context(), src)
		assert.Equal(t, calls, client.Calls(), "it asked for ten minutes")
	}
}
