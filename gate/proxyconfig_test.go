package gate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/portal"
)

// production is a portal's answer as its client reads it.
func production(t testing.TB, text []byte) *portal.ProxyConfig {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/admin/api/services/1001/proxy/configs/production/latest.json" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write(text)
	}))
	defer server.Close()
	client, err := portal.New(portal.Options{URL: server.URL, Token: "t", PerSecond: 1000})
	require.NoError(t, err)
	defer client.Close()
	c, err := client.ProductionConfig(t.Context(), "1001")
	require.NoError(t, err)
	return c
}

// A configuration of the real form becomes the service that APIcast makes of it.
func TestProductionConfiguration(t *testing.T) {
	text, err := os.ReadFile("testdata/production.json")
	require.NoError(t, err)
	c := production(t, text)
	kept, err := json.Marshal(c)
	require.NoError(t, err)
	assert.NotContains(t, string(kept), "a5da1d3a0e0f6f2d", "the service's token is not kept")
	assert.NotContains(t, string(kept), "Shared_secret")
	s, faults := FromPortal("1001", c)
	require.Empty(t, faults)
	assert.Equal(t, []string{"echo-api.example.com", "echo-api-staging.example.com"}, s.Hosts)
	assert.Equal(t, "version 7 of the portal", s.Origin)
	all, faults := (&Services{}).With([]*Service{s}, true)
	require.Empty(t, faults)
	for call, want := range map[string]string{
		"GET /": "hits=1", "GET /words/a.json": "hits=1", "GET /words/a.json?format=x&v=2": "hits=1 words.104=2", "GET /words/a.json?format=x&v=3": "hits=1",
		"GET /admin/x": "hits=1 admin=10", "POST /admin": "admin=10", "POST /": "",
	} {
		method, target, _ := strings.Cut(call, " ")
		assert.Equal(t, want, strings.TrimSuffix(strings.Join(all.Try(method, "echo-api.example.com", target).Usage, " "), " never=1"), call)
	}

	got := &authorize.Question{}
	h := New(&Services{}, Options{Ask: func(_ context.Context, q *authorize.Question) authorize.Answer {
		*got = *q
		return authorize.Answer{Code: threescale.CodeUserKeyInvalid, Limit: noLimit}
	}})
	h.ApplyPortal([]*Service{s}, true)
	w := ask(h, "GET", "http://echo-api.example.com/gate/", "User_key", "k")
	assert.Equal(t, "k", got.Application.UserKey, "- and _ are the same in the name of a field")
	assert.Equal(t, 403, w.Code)
	assert.Equal(t, "application/json", w.Header().Get("Content-Type"))
	assert.JSONEq(t, `{"error": "Authentication failed"}`, w.Body.String())
	assert.Equal(t, 1, strings.Count(w.Body.String(), "\n"))
	w = ask(h, "GET", "http://echo-api.example.com/gate/")
	assert.Equal(t, 403, w.Code, "3scale's own status for missing credentials")
	assert.Equal(t, "Authentication parameters missing\n", w.Body.String())
	w = ask(h, "PUT", "http://echo-api.example.com/gate/")
	assert.Equal(t, 404, w.Code)
	assert.Equal(t, "No Mapping Rule matched\n", w.Body.String())
}

// What cannot be taken over is said, and takes nothing else with it.
func TestConfigurationsThatCannotBeTakenOver(t *testing.T) {
	whole := portal.ProxyConfig{BackendVersion: "2", Proxy: portal.Proxy{Hosts: []string{"a.example:443"}, Rules: []portal.ProxyRule{{Method: "GET", Pattern: "/", Metric: "hits", Delta: "1"}}}}
	s, faults := FromPortal("1", &whole)
	require.Empty(t, faults)
	assert.Equal(t, Credentials{In: "query", AppID: "app_id", AppKey: "app_key"}, s.Credentials)
	assert.Equal(t, []string{"a.example"}, s.Hosts)
	for want, change := range map[string]func(c *portal.ProxyConfig){
		"no hosts": func(c *portal.ProxyConfig) { c.Proxy.Hosts = nil }, "backend_version": func(c *portal.ProxyConfig) { c.BackendVersion = "oauth" },
		"credentials_location": func(c *portal.ProxyConfig) { c.Proxy.CredentialsLocation = "body" },
	} {
		c := whole
		change(&c)
		s, faults := FromPortal("1", &c)
		assert.Nil(t, s, want)
		require.Len(t, faults, 1, want)
		assert.Contains(t, faults[0], want)
	}
	for want, bad := range map[string]portal.ProxyRule{
		"expected text between": {Pattern: "/{a}{b}", Metric: "hits", Delta: "1"}, "no metric": {Pattern: "/", Delta: "1"}, "delta": {Pattern: "/", Metric: "hits", Delta: "-1"},
	} {
		c := whole
		c.Proxy.Rules = append([]portal.ProxyRule{bad}, c.Proxy.Rules...)
		s, faults := FromPortal("1", &c)
		require.Len(t, faults, 1)
		assert.Contains(t, faults[0], want)
		assert.Len(t, s.Rules, 1)
	}
}

// APIcast's own examples of matching.
func TestRulesHoldAgainstAPIcastsExamples(t *testing.T) {
	const any = "ANY"
	for i, c := range []struct {
		method, pattern string
		params          map[string]string
		call            string
		matches         bool
	}{
		{"GET", "/abc", map[string]string{"a_param": "1"}, "GET /abc?a_param=1", true},
		{"GET", "/abc", nil, "GET /abc?a_param=1", true},
		{"GET", "/abc", map[string]string{"a_param": "1"}, "POST /abc?a_param=1", false},
		{"GET", "/abc", map[string]string{"a_param": "1"}, "GET /aaa?a_param=1", false},
		{"GET", "/abc", map[string]string{"a_param": "1"}, "GET /abc?a_param=2", false},
		{"GET", "/foo/{wildcard}/bar", nil, "GET /foo/a@b/bar", true},
		{"GET", "/foo/{wildcard}/bar", nil, "GET /foo/a:b/bar", true},
		{"GET", "/foo/{wildcard}/bar", nil, "GET /foo/a%25b/bar", true},
		{"GET", "/foo/{wildcard}/bar", nil, "GET /foo/a%20b/bar", false},
		{"GET", "/foo//bar", nil, "GET /foo/bar", true}, {"GET", "/foo///bar", nil, "GET /foo/bar", true},
		{"GET", "/foo/ /bar", nil, "GET /foo/%20/bar", true}, {"GET", "///foo///bar///", nil, "GET /foo/bar/", true},
		{any, "/foo/", nil, "PATCH /foo/", true}, {any, "/foo/", nil, "DELETE /foo/", true},
		{"GET", "/", map[string]string{"required": "1"}, "GET /test?optional=1&required=1&other=1", true},
		{any, "/", nil, "GET //", true}, {any, "/", nil, "GET /some/path/?a=1&b=2", true},
		{any, "/auto", map[string]string{"w": "hello", "color": "{color}"}, "GET /auto", false},
		{any, "/auto", map[string]string{"w": "hello", "color": "{color}"}, "GET /auto-matic?w=hello&color=green", true},
		{any, "/auto", map[string]string{"w": "hello", "color": "{color}"}, "GET /auto-matic?w=hello", false},
		{any, "/abc", map[string]string{"fmt": "{fmt}", "s": "1", "t": "$9"}, "GET /abc?fmt=html&s=1&t=$9", true},
		{any, "/abc", map[string]string{"fmt": "{fmt}", "s": "1", "t": "$9"}, "GET /abc?fmt=html&s=2&t=$9", false},
		{any, "/abc", map[string]string{"t": "9"}, "GET /abc?other=1&t=9", true},
		{any, "/abc/v{version}/id.json", nil, "GET /abc/v1/id.json", true}, {any, "/abc/v{version}/id.json", nil, "GET /abc/v1/idxjson", false},
		{any, "/abc/v{version}/id", nil, "GET /abc/v1/v2/id", false}, {any, "/abc/v{version}/id", nil, "GET //abc/v1.1//id", true},
	} {
		r, problem := fromRule(&portal.ProxyRule{Method: c.method, Pattern: c.pattern, Params: c.params, Metric: "hits", Delta: "1"})
		require.Empty(t, problem, c.pattern)
		method, target, _ := strings.Cut(c.call, " ")
		at, err := newTarget(target)
		require.NoError(t, err)
		assert.Equal(t, c.matches, r.matches(method, &at), "%d: %s %v on %s", i, c.pattern, c.params, c.call)
	}
}

// large is a configuration of the real form with 300 rules, as a grown product has them: one for everything, several for each
// resource, some with parameters.
func large() *portal.ProxyConfig {
	c := &portal.ProxyConfig{BackendVersion: "1", Proxy: portal.Proxy{Hosts: []string{"api.example.com"}, CredentialsLocation: "query", AuthUserKey: "user_key"}}
	add := func(method, pattern, metric string, params map[string]string) {
		n := len(c.Proxy.Rules) + 1
		c.Proxy.Rules = append(c.Proxy.Rules, portal.ProxyRule{Method: method, Pattern: pattern, Metric: metric, Params: params, Delta: "1", Position: json.Number(fmt.Sprint(n))})
	}
	add("ANY", "/", "hits", nil)
	for i := 0; len(c.Proxy.Rules) < 300; i++ {
		base := fmt.Sprintf("/api/v%d/resource%d", i%3+1, i)
		add("GET", base+"$", fmt.Sprintf("list%d", i), nil)
		add("GET", base+"/{id}", fmt.Sprintf("read%d", i), nil)
		add("POST", base, fmt.Sprintf("write%d", i), nil)
		add("GET", base+"/{id}/parts/{part}.json", fmt.Sprintf("parts%d", i), map[string]string{"format": "{format}"})
	}
	c.Proxy.Rules = c.Proxy.Rules[:300]
	return c
}

// BenchmarkProxyConfig is a decision by a configuration of 300 rules, the yes of the authorizer apart, and what the rules take of memory.
func BenchmarkProxyConfig(b *testing.B) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	s, faults := FromPortal("1001", large())
	runtime.GC()
	runtime.ReadMemStats(&after)
	require.Empty(b, faults)
	all, _ := (&Services{}).With([]*Service{s}, true)
	q := Question{Method: "GET", Host: "api.example.com", Target: "/api/v3/resource74/17/parts/3.json?format=json&user_key=k", Header: http.Header{}}
	b.ReportAllocs()
	b.ResetTimer()
	for b.Loop() {
		t, err := newTarget(q.Target)
		service := all.of(q.Host)
		used, _ := service.rules.usage(q.Method, &t)
		if _, ok := service.Credentials.find(&q, &t); err != nil || !ok || len(used) < 2 {
			b.Fatal(err, ok, used)
		}
	}
	b.ReportMetric(float64(int64(after.HeapAlloc)-int64(before.HeapAlloc)), "B-of-rules")
	runtime.KeepAlive(s)
}
