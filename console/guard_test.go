package console_test

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/console"
)

// guarded are options that ask for tokens; each scope's token is its name.
func guarded(t *testing.T) console.Options {
	t.Helper()
	text := "tokens:\n"
	for _, scope := range access.Scopes {
		text += fmt.Sprintf("  - {name: %s, sha256: %x, scopes: [%s]}\n", scope, sha256.Sum256([]byte(scope)), scope)
	}
	file := filepath.Join(t.TempDir(), "tokens.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	o := options()
	var err error
	o.Tokens, err = access.Open(file, access.Operators)
	require.NoError(t, err)
	for scope, path := range map[string]string{access.Stats: "/stats/{rest...}", access.AccountManagement: "/admin/api/{rest...}"} {
		o.Routes = append(o.Routes, console.Route{Pattern: "GET " + path, Scope: scope, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			_, _ = w.Write([]byte(access.From(r.Context()).Name))
		})})
	}
	return o
}

func TestEveryRouteAsksForItsScope(t *testing.T) {
	o := guarded(t)
	o.Pprof = true
	needs := map[string]string{
		"GET /api/v1/status": access.Read, "GET /api/v1/deadletters": access.Read, "GET /api/v1/deadletters/x": access.Read,
		"GET /api/v1/parked": access.Read, "GET /api/v1/parked/x": access.Read, "GET /api/v1/names": access.Read, "GET /metrics": access.Read, "POST /-/flush": access.Write, "POST /-/reload": access.Write,
		"POST /api/v1/deadletters/requeue": access.Write, "POST /api/v1/deadletters/drop": access.Write,
		"POST /api/v1/parked/x/resend": access.Write, "GET /debug/pprof/": access.Write, "GET /debug/pprof/cmdline": access.Write,
		"GET /stats/a": access.Stats, "GET /admin/api/a": access.AccountManagement,
	}
	for route, needed := range needs {
		var method, path string
		_, err := fmt.Sscan(route, &method, &path)
		require.NoError(t, err)
		w := ask(t, o, method, path)
		assert.Equal(t, http.StatusUnauthorized, w.Code, route)
		assert.Contains(t, w.Header().Get("WWW-Authenticate"), "Bearer", route)
		assert.Equal(t, http.StatusUnauthorized, ask(t, o, method, path, "Authorization", "Bearer wrong").Code, route)
		for _, scope := range access.Scopes {
			if scope == needed || scope == access.Write && needed == access.Read {
				continue
			}
			w := ask(t, o, method, path, "Authorization", "Bearer "+scope)
			assert.Equal(t, http.StatusForbidden, w.Code, "%s with %s", route, scope)
			assert.Contains(t, w.Body.String(), needed, route)
		}
	}
	for _, path := range []string{"/livez", "/readyz", "/", "/api/v1/session"} {
		assert.Equal(t, http.StatusOK, ask(t, o, "GET", path).Code, path)
	}
}

func TestATokenOpensWhatItIsGoodFor(t *testing.T) {
	o := guarded(t)
	assert.Equal(t, http.StatusOK, ask(t, o, "GET", "/api/v1/status", "Authorization", "Bearer read").Code)
	assert.Equal(t, http.StatusOK, ask(t, o, "GET", "/metrics", "Authorization", "bearer write").Code)
	assert.Equal(t, http.StatusOK, ask(t, o, "POST", "/-/flush", "Authorization", "Bearer write").Code)
	assert.Equal(t, http.StatusUnauthorized, ask(t, o, "GET", "/api/v1/status?access_token=read").Code, "an address is kept in many logs")

	for _, header := range [][]string{{"Authorization", "Bearer stats"}, {"Authorization", "Basic OnN0YXRz"}, {"Authorization", "Basic c3RhdHM6"}} {
		assert.Equal(t, "stats", ask(t, o, "GET", "/stats/a", header...).Body.String(), header)
	}
	assert.Equal(t, "stats", ask(t, o, "GET", "/stats/a?access_token=stats").Body.String())
	assert.Equal(t, "account_management", ask(t, o, "GET", "/admin/api/a?access_token=account_management").Body.String())
}

func TestASessionSaysWhatAPageMayOffer(t *testing.T) {
	var got struct {
		Asked  bool
		Name   string
		Scopes []string
	}
	for _, c := range []struct {
		token string
		want  []string
	}{{"", []string{}}, {"wrong", []string{}}, {"read", []string{"read"}}, {"write", []string{"read", "write"}}} {
		require.NoError(t, json.Unmarshal(ask(t, guarded(t), "GET", "/api/v1/session", "Authorization", "Bearer "+c.token).Body.Bytes(), &got))
		assert.True(t, got.Asked)
		assert.Equal(t, c.want, got.Scopes, c.token)
	}
	require.NoError(t, json.Unmarshal(ask(t, options(), "GET", "/api/v1/session").Body.Bytes(), &got))
	assert.False(t, got.Asked)
	assert.Equal(t, access.Scopes, got.Scopes, "no token is required: everything is allowed")
}

func TestPagesRunNoScriptButTheirOwnAndShowInNoFrame(t *testing.T) {
	for _, path := range []string{"/", "/api/v1/status", "/nothing", "/metrics"} {
		h := ask(t, options(), "GET", path).Header()
		policy := h.Get("Content-Security-Policy")
		assert.Contains(t, policy, "default-src 'none'; script-src 'self';", path)
		assert.Contains(t, policy, "frame-ancestors 'none'", path)
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "DENY", h.Get("X-Frame-Options"), path)
		assert.Equal(t, "nosniff", h.Get("X-Content-Type-Options"), path)
		assert.Equal(t, "no-store", h.Get("Cache-Control"), path)
	}
}

// A load balancer's check names no host, or its own: HAProxy's is HTTP/1.0. It learns nothing that a page may not.
func TestHealthIsToldUnderAnyName(t *testing.T) {
	address := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7071}
	for path, want := range map[string]int{
		"/livez": http.StatusOK, "/readyz": http.StatusOK, "/readyz?verbose": http.StatusMisdirectedRequest,
		"/": http.StatusMisdirectedRequest, "/livez/": http.StatusMisdirectedRequest, "/metrics": http.StatusMisdirectedRequest,
		"/api/v1/session": http.StatusMisdirectedRequest,
	} {
		for _, host := range []string{"", "evil.example", "balancer:80"} {
			r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, address), "GET", path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			console.New(options()).ServeHTTP(w, r)
			assert.Equal(t, want, w.Code, "%s as %q", path, host)
			if want == http.StatusOK {
				r.Method, w = "POST", httptest.NewRecorder()
				console.New(options()).ServeHTTP(w, r)
				assert.Equal(t, http.StatusMisdirectedRequest, w.Code, "POST %s as %q", path, host)
			}
		}
	}
}

// The log line of an order has the name of its token, also of one that may not; an unknown token has none.
func TestOrdersNameTheirToken(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	o := guarded(t)
	o.Log = zap.New(core)
	for token, want := range map[string]string{"write": "write", "read": "read", "unknown": ""} {
		ask(t, o, http.MethodPost, "/-/flush", "Authorization", "Bearer "+token)
		require.Equal(t, 1, logs.Len())
		assert.Equal(t, want, logs.TakeAll()[0].ContextMap()["token"], token)
	}
}

// A page of another site can have its own name lead to 127.0.0.1, and is then its own origin.
func TestAnotherNameForThisMachineIsRefused(t *testing.T) {
	get := func(o console.Options, local, host string) int {
		address, err := net.ResolveTCPAddr("tcp", local)
		require.NoError(t, err)
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, address), "GET", "/api/v1/status", nil)
		r.Host = host
		r.Header.Set("Authorization", "Bearer read")
		w := httptest.NewRecorder()
		console.New(o).ServeHTTP(w, r)
		return w.Code
	}
	assert.Equal(t, http.StatusMisdirectedRequest, get(options(), "127.0.0.1:7071", "evil.example:7071"))
	assert.Equal(t, http.StatusMisdirectedRequest, get(options(), "[::1]:7071", "evil.example"))
	for _, host := range []string{"127.0.0.1:7071", "localhost:7071", "[::1]:7071"} {
		assert.Equal(t, http.StatusOK, get(options(), "127.0.0.1:7071", host), host)
	}
	for _, local := range []string{"10.0.0.1:7071", "127.0.0.1:7071"} {
		assert.Equal(t, http.StatusMisdirectedRequest, get(options(), local, "evil.example"), "in a container, too")
		named := options()
		named.Hosts = []string{"reporterd.example"}
		assert.Equal(t, http.StatusOK, get(named, local, "reporterd.example:443"), "it is in admin.hosts")
	}
	for _, host := range []string{"10.0.0.1:7071", "reporterd:7071", "reporterd.metering.svc"} {
		assert.Equal(t, http.StatusOK, get(options(), "10.0.0.1:7071", host), "%s is no other site's", host)
	}
	assert.Equal(t, http.StatusOK, get(guarded(t), "127.0.0.1:7071", "reporterd.example"), "such a page has no token")
}

// Without configured tokens only the daemon's own commands are answered, under any Host: a proxy on this machine uses one of its names.
func TestAClosedConsoleIsForTheDaemonsCommands(t *testing.T) {
	o := options()
	o.Tokens, o.Closed = access.Closed(access.Operators), true
	o.Tokens.Add("local", access.Grant{Name: "local", Scopes: access.Scopes})
	for path, want := range map[string]int{
		"/livez": http.StatusOK, "/readyz": http.StatusOK, "/metrics": http.StatusUnauthorized, "/api/v1/status": http.StatusUnauthorized,
	} {
		assert.Equal(t, want, ask(t, o, http.MethodGet, path).Code, path)
		assert.Equal(t, http.StatusOK, ask(t, o, http.MethodGet, path, "Authorization", "Bearer local").Code, path)
	}
	w := ask(t, o, http.MethodPost, "/-/flush")
	assert.Equal(t, http.StatusUnauthorized, w.Code)
	assert.Contains(t, w.Body.String(), "admin.tokens_file")
}

// An order that a page of another site makes a browser send is refused, and stands in the log.
func TestOrdersOfOtherSitesAreLogged(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	o := guarded(t)
	o.Log = zap.New(core)
	w := ask(t, o, http.MethodPost, "/-/flush", "Authorization", "Bearer write", "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")
	assert.Equal(t, http.StatusForbidden, w.Code)
	require.Equal(t, 1, logs.Len())
	assert.Equal(t, "https://evil.example", logs.All()[0].ContextMap()["origin"])
}

// A proxy on this machine leads to the listener under its own name, as nginx does by default. Without tokens it is refused, also its reads.
func TestWithoutTokensWhatAProxyPassedOnIsRefused(t *testing.T) {
	ask := func(o console.Options, host, path string, change func(*http.Request)) int {
		local := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 7071}
		r := httptest.NewRequestWithContext(context.WithValue(t.Context(), http.LocalAddrContextKey, local), "GET", path, nil)
		r.Host = host
		r.Header.Set("Authorization", "Bearer read")
		change(r)
		w := httptest.NewRecorder()
		console.New(o).ServeHTTP(w, r)
		return w.Code
	}
	nginx := func(r *http.Request) { r.Proto, r.ProtoMinor = "HTTP/1.0", 0 }
	apache := func(r *http.Request) { r.Header.Set("X-Forwarded-Host", "site.example") }
	order := func(r *http.Request) {
		r.Method, r.URL.Path = http.MethodPost, "/-/flush"
		r.Header.Set("Origin", "https://site.example")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	named, insecure := options(), options()
	named.Hosts, insecure.Insecure = []string{"reporterd.example"}, true
	for _, change := range []func(*http.Request){nginx, apache, order} {
		assert.Equal(t, http.StatusForbidden, ask(options(), "127.0.0.1:7071", "/api/v1/status", change))
		assert.Equal(t, http.StatusForbidden, ask(named, "127.0.0.1:7071", "/api/v1/status", change))
		assert.Equal(t, http.StatusOK, ask(named, "reporterd.example", "/api/v1/status", change), "it is in admin.hosts")
		assert.Equal(t, http.StatusOK, ask(insecure, "127.0.0.1:7071", "/api/v1/status", change))
	}
	for _, change := range []func(*http.Request){nginx, apache} {
		assert.Equal(t, http.StatusOK, ask(options(), "127.0.0.1:7071", "/readyz", change))
		assert.Equal(t, http.StatusOK, ask(guarded(t), "127.0.0.1:7071", "/api/v1/status", change), "a token decides")
	}
	assert.Equal(t, http.StatusOK, ask(options(), "127.0.0.1:7071", "/api/v1/status", func(*http.Request) {}))
}
