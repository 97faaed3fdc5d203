package test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// gateRules are the rules of the API behind the proxies: service 1002 of the sandbox knows user keys.
const gateRules = `
services:
- service: "1002"
  credentials: {in: query, user_key: user_key}
  rules:
  - {method: GET, pattern: /search, metric: hits, delta: 1}
`

// gateway is a proxy in front of an origin, which asks a daemon.
type gateway struct {
	url     string
	reached atomic.Int64 // calls that the origin saw
	daemon  *daemon
	backend *backend
}

// newGateway starts the origin, the daemon and a proxy that the manual's own configuration sets up.
func newGateway(t *testing.T, start func(t *testing.T, port, origin, socket string)) *gateway {
	t.Helper()
	g := &gateway{backend: sandbox(t)}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.reached.Add(1)
		_, _ = io.WriteString(w, "origin\n")
	}))
	t.Cleanup(origin.Close)
	dir, err := os.MkdirTemp("", "gate") // a short name: that of a socket is bounded
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	rules := filepath.Join(dir, "gate.yaml")
	require.NoError(t, os.WriteFile(rules, []byte(gateRules), 0o644))
	socket := filepath.Join(dir, "gate.sock")
	s := newSettings(t, g.backend.url).set("gate.listen", "unix:"+socket).set("gate.rules", rules).set("socket_mode", "0666").
		set("gate.request_id_header", "X-Request-Id").set("gate.timeout", "5s")
	g.daemon = serve(t, s)
	port := strconv.Itoa(freePort(t))
	start(t, port, strings.TrimPrefix(origin.URL, "http://"), socket)
	g.url = "http://127.0.0.1:" + port
	eventually(t, 10*time.Second, "the proxy answers", func() bool {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
	return g
}

// get makes a call of the API as it is written, and returns what its caller sees.
func (g *gateway) get(t *testing.T, target string, header ...string) (status int, body string, answer http.Header) {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(g.url, "http://"))
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: api.example.com\r\nConnection: close\r\n%s\r\n", target, strings.Join(header, ""))
	require.NoError(t, err)
	text, err := io.ReadAll(c)
	require.NoError(t, err)
	head, body, _ := strings.Cut(string(text), "\r\n\r\n")
	_, err = fmt.Sscanf(head, "HTTP/1.1 %d", &status)
	require.NoError(t, err, head)
	answer = http.Header{}
	for _, line := range strings.Split(head, "\r\n")[1:] {
		name, value, _ := strings.Cut(line, ": ")
		answer.Add(name, value)
	}
	return status, body, answer
}

// documented returns a code block of docs/gateways.md.
func documented(t *testing.T, language string) string {
	t.Helper()
	text, err := os.ReadFile("../docs/gateways.md")
	require.NoError(t, err)
	found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(text)
	require.NotNil(t, found, language)
	return string(found[1])
}

// runProxy starts a proxy and ends it with the test.
func runProxy(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	said, err := os.Create(filepath.Join(dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "HOME="+dir)
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // nginx ends its workers with it
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("%s: %s", name, text)
		}
		_ = said.Close()
	})
}

func startNginx(t *testing.T, port, origin, socket string) {
	dir := filepath.Dir(socket)
	site := strings.NewReplacer("/run/reporterd/gate.sock", socket, "listen 80;", "listen 127.0.0.1:"+port+";", "127.0.0.1:8080", origin).Replace(documented(t, "nginx"))
	text := fmt.Sprintf("daemon off; pid %[1]s/pid; error_log stderr; events {}\nhttp { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p;"+
		" fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%[2]s}\n", dir, site)
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	runProxy(t, dir, "nginx", "-c", file, "-p", dir)
}

func startCaddy(t *testing.T, port, origin, socket string) {
	dir := filepath.Dir(socket)
	site := strings.NewReplacer("/run/reporterd/gate.sock", socket, "http://api.example.com {", "http://api.example.com:"+port+" {", "127.0.0.1:8080", origin).
		Replace(documented(t, "caddyfile"))
	file := filepath.Join(dir, "Caddyfile")
	require.NoError(t, os.WriteFile(file, []byte("{\n admin off\n auto_https off\n}\n"+site), 0o600))
	runProxy(t, dir, "caddy", "run", "--config", file, "--adapter", "caddyfile")
}

// TestGateways: what the origin sees, what the caller sees and what is counted, behind each proxy that Debian has, set up by the
// manual's own lines.
func TestGateways(t *testing.T) {
	if os.Getenv("REPORTERD_GATEWAYS") == "" {
		t.Skip("needs nginx and caddy: set REPORTERD_GATEWAYS=1")
	}
	for name, start := range map[string]func(*testing.T, string, string, string){"nginx": startNginx, "caddy": startCaddy} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := newGateway(t, start)
			mustCall(t, http.StatusOK, http.MethodPut, g.backend.url+"/sandbox/applications", map[string]any{
				"service_id": "1002", "app_id": "limited", "user_key": "limited", "plan": "Test", "limits": []limit{{"hits", "eternity", 2}},
			})
			passed := int64(0)
			for _, c := range []struct {
				target string
				status int
				header string
			}{
				{"/search?user_key=ukey1", 200, ""}, {"//search?user_key=ukey1", 200, ""}, {"/%73earch?user_key=ukey1", 200, ""},
				{"/a/../search?user_key=ukey1", 200, ""}, {"/search", 401, ""}, {"/search?user_key=nosuch", 403, ""},
				{"/other?user_key=ukey1", 404, ""}, {"/a%2Fsearch?user_key=ukey1", 400, ""},
				{"/search?user_key=limited", 200, ""}, {"/search?user_key=limited", 200, ""}, {"/search?user_key=limited", 429, ""},
				{"/search?usage[hits]=0&service_id=1001&user_key=ukey1", 200, ""},
				{"/search?user_key=nosuch", 403, "X-Forwarded-Uri: /search?user_key=ukey1\r\n"},
				{"/other?user_key=ukey1", 404, "X-Original-URI: /search?user_key=ukey1\r\n"},
			} {
				status, body, _ := g.get(t, c.target, c.header)
				assert.Equal(t, c.status, status, "%s %s", c.target, c.header)
				assert.NotContains(t, body, "<status", c.target)
				if c.status == 200 {
					passed++
					assert.Equal(t, "origin", strings.TrimSpace(body), c.target)
				}
			}
			assert.Equal(t, passed, g.reached.Load(), "calls that the origin saw")
			assert.EqualValues(t, passed, g.daemon.status().Events.Accepted, "calls that were counted")
		})
	}
}
