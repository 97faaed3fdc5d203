package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// promote gives a service of the sandbox a further production configuration, with one rule.
func (b *backend) promote(service, pattern string) {
	b.t.Helper()
	proxy := fmt.Sprintf(`{"hosts": ["api.example.com"], "credentials_location": "query", "auth_user_key": "key", "error_auth_missing": "who are you?",
		"error_status_auth_missing": 403, "proxy_rules": [{"http_method": "GET", "pattern": %q, "metric_system_name": "hits", "delta": 2, "position": 1}]}`, pattern)
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/services", map[string]any{"id": service, "proxy": json.RawMessage(proxy)})
}

// TestGatePortal: rules, place of credentials and error answers come from the portal's production configuration; a new version is taken,
// and the last one stays while the portal is away, also after a kill.
func TestGatePortal(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	b.promote("1002", "/one")
	socket := filepath.Join(t.TempDir(), "gate.sock")
	s := newSettings(t, b.url).set("gate.listen", "unix:"+socket).set("gate.portal", true).set("gate.portal_every", "1s").set("gate.timeout", "5s").
		set("portal.url", b.url).set("portal.access_token", "atoken").set("services", []any{map[string]any{"id": "1002", "token": "stoken1002"}})
	d := serve(t, s)
	ask := func(target string) string {
		text := raw(t, "unix:"+socket, "GET /gate"+target+" HTTP/1.0\r\nHost: api.example.com\r\n\r\n")
		status, rest, _ := strings.Cut(strings.TrimPrefix(text, "HTTP/1.0 "), "\r\n")
		_, body, _ := strings.Cut(rest, "\r\n\r\n")
		return status + ": " + strings.TrimSpace(body)
	}
	eventually(t, 10*time.Second, "the rules are in force", func() bool { return ask("/one?key=ukey1") == "200 OK: yes" })
	assert.EqualValues(t, 1, d.status().Events.Accepted, "503 before is counted as nothing")
	assert.Equal(t, "403 Forbidden: who are you?", ask("/one?user_key=ukey1"))
	b.promote("1002", "/two")
	eventually(t, 10*time.Second, "the new version is in force", func() bool { return ask("/two?key=ukey1") == "200 OK: yes" })
	assert.Contains(t, ask("/one?key=ukey1"), "404")
	mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", map[string]any{"account": fault{Status: 503}})
	d.kill()
	d = serve(t, s)
	assert.Equal(t, "200 OK: yes", ask("/two?key=ukey1"), "the portal is away")
	assert.EqualValues(t, 3, d.status().Events.Accepted)
	d.drained(20 * time.Second)
	assert.EqualValues(t, 6, b.usage()["1002"]["appuk"]["hits"])
	kept, err := os.ReadFile(filepath.Join(s.dataDir(), "gate", "service-1002.json"))
	assert.NoError(t, err)
	assert.NotContains(t, string(kept), "stoken1002", "the service's token is not kept")
	out, err := command(t, "gate", "test", "GET", "http://api.example.com/two/x", "--config", s.write(t)).CombinedOutput()
	assert.NoError(t, err)
	assert.Contains(t, string(out), "service 1002 (version 2 of the portal), path /two/x\n  GET /two: hits +2\ncounts hits=2\n")
	out, err = command(t, "gate", "check", "--config", s.write(t)).CombinedOutput()
	assert.NoError(t, err)
	assert.Contains(t, string(out), ": fine, 1 service, 1 rule\n")
}
