package test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// gatewayCases are what callers of the APIs do, and what each of them sees behind every proxy.
var gatewayCases = []struct {
	name, host, target, header string
	status                     int
}{
	{"right", "api.example.com", "/search?user_key=ukey1", "", 200},
	{"right with a key", "apps.example.com", "/", "App-Id: keyed\r\nApp-Key: right\r\n", 200},
	{"wrong key", "apps.example.com", "/", "App-Id: keyed\r\nApp-Key: wrong\r\n", 403},
	{"no key of an application with keys", "apps.example.com", "/", "App-Id: keyed\r\n", 403},
	{"no key", "api.example.com", "/search", "", 401},
	{"no id", "apps.example.com", "/", "App-Key: right\r\n", 401},
	{"two ids", "apps.example.com", "/", "App-Id: keyed\r\nApp-Id: app1\r\nApp-Key: right\r\n", 401},
	{"unknown", "api.example.com", "/search?user_key=nosuch", "", 403},
	{"suspended", "api.example.com", "/search?user_key=suspended", "", 403},
	{"below the limit", "api.example.com", "/search?user_key=limited", "", 200},
	{"at the limit", "api.example.com", "/search?user_key=limited", "", 200},
	{"over limit", "api.example.com", "/search?user_key=limited", "", 429},
	{"no rule", "api.example.com", "/other?user_key=ukey1", "", 404},
	{"two slashes", "api.example.com", "//search?user_key=ukey1", "", 200},
	{"an escape", "api.example.com", "/%73earch?user_key=ukey1", "", 200},
	{"a way back", "api.example.com", "/a/../search?user_key=ukey1", "", 200},
	{"an escaped way back", "api.example.com", "/a/%2e%2e/search?user_key=ukey1", "", 200},
	{"an escaped slash", "api.example.com", "/a%2Fsearch?user_key=ukey1", "", 400},
	{"a zero", "api.example.com", "/search%00?user_key=ukey1", "", 400},
	{"no escape", "api.example.com", "/search%zz?user_key=ukey1", "", 400},
	{"a backslash", "api.example.com", "/a%5csearch?user_key=ukey1", "", 400},
	{"a key twice", "api.example.com", "/search?user_key=ukey1&user_key=nosuch", "", 401},
	{"its usage in the query", "api.example.com", "/search?usage[hits]=0&service_id=1001&user_key=ukey1", "", 200},
	{"a question in X-Forwarded", "api.example.com", "/search?user_key=nosuch", "X-Forwarded-Method: GET\r\nX-Forwarded-Uri: /search?user_key=ukey1\r\n", 403},
	{"a question in X-Original", "api.example.com", "/other?user_key=ukey1", "X-Original-Method: GET\r\nX-Original-URI: /search?user_key=ukey1\r\n", 404},
	{"a host in X-Forwarded", "api.example.com", "/other?user_key=ukey1", "X-Forwarded-Host: apps.example.com\r\nApp-Id: keyed\r\nApp-Key: right\r\n", 404},
	{"a host in X-Original", "api.example.com", "/other?user_key=ukey1", "X-Original-Host: apps.example.com\r\nApp-Id: keyed\r\nApp-Key: right\r\n", 404},
	{"an id", "api.example.com", "/search?user_key=ukey1", "X-Request-Id: mine\r\n", 200},
	{"the same id", "api.example.com", "/search?user_key=ukey1", "X-Request-Id: mine\r\n", 200},
}

// applications makes those of gatewayCases that the sandbox does not have.
func (g *gateway) applications(t *testing.T) {
	t.Helper()
	for _, application := range []map[string]any{
		{"service_id": "1002", "app_id": "limited", "user_key": "limited", "plan": "Test", "limits": []limit{{"hits", "year", 2}}},
		{"service_id": "1002", "app_id": "suspended", "user_key": "suspended", "plan": "Free", "state": "suspended"},
		{"service_id": "1001", "app_id": "keyed", "plan": "Free", "keys": []string{"right"}},
	} {
		mustCall(t, http.StatusOK, http.MethodPut, g.backend.url+"/sandbox/applications", application)
	}
}

// TestGateways: what the origin sees, what the caller sees and what is counted, behind each proxy that Debian has, set up by the
// manual's own lines.
func TestGateways(t *testing.T) {
	gateways(t, func(t *testing.T, name string) {
		g := newGateway(t)
		g.applications(t)
		g.open(t, name, nil)
		passed := 0
		for _, c := range gatewayCases {
			status, body, answer := g.get(t, c.host, c.target, c.header)
			assert.Equal(t, c.status, status, c.name)
			assert.NotContains(t, body, "<status", "%s: 3scale's words are for the proxy", c.name)
			if c.status == http.StatusOK {
				passed++
				assert.Equal(t, "origin", strings.TrimSpace(body), c.name)
			}
			if c.status == http.StatusTooManyRequests {
				assert.NotEmpty(t, answer.Get("Retry-After"), c.name)
			}
			assert.Equal(t, passed, g.reached(), "%s: calls that the origin saw", c.name)
			assert.EqualValues(t, passed, g.daemon.status().Events.Accepted, "%s: calls that were counted", c.name)
		}
		mustCall(t, http.StatusOK, http.MethodPut, g.backend.url+"/sandbox/faults", map[string]any{"authorize": fault{Status: 503}})
		status, _, answer := g.get(t, "api.example.com", "/search?user_key=ukey2")
		assert.Equal(t, http.StatusServiceUnavailable, status, "backend away")
		assert.NotEmpty(t, answer.Get("Retry-After"), "backend away")
		status, _, _ = g.get(t, "api.example.com", "/search?user_key=ukey1")
		assert.Equal(t, http.StatusOK, status, "backend away, and the application is remembered")
		assert.Equal(t, passed+1, g.reached(), "backend away: calls that the origin saw")
		g.backend.heal()
		g.daemon.drained(20 * time.Second)
		counted := uint64(0)
		for _, applications := range g.backend.usage() {
			for _, usage := range applications {
				counted += usage["hits"]
			}
		}
		assert.EqualValues(t, passed+1, counted, "what 3scale counted")
		g.daemon.kill()
		status, _, _ = g.get(t, "api.example.com", "/search?user_key=ukey1")
		assert.Contains(t, []int{500, 502, 503}, status, "the daemon is away")
		assert.Equal(t, passed+1, g.reached(), "the daemon is away: calls that the origin saw")
	})
}
