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
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// gateRules are the rules of the APIs behind the proxies: service 1002 of the sandbox knows user keys, 1001 ids with keys.
const gateRules = `
services:
- service: "1002"
  credentials: {in: query, user_key: user_key}
  rules:
  - {method: GET, pattern: /search, metric: hits, delta: 1}
- service: "1001"
  hosts: [apps.example.com]
  credentials: {in: headers, app_id: App-Id, app_key: App-Key}
  rules:
  - {pattern: /, metric: hits, delta: 1}
`

// proxies are those that Debian has, by name: each is started by the manual's own lines, changed by edit.
var proxies = map[string]func(t *testing.T, g *gateway, edit func(string) string){"nginx": startNginx, "caddy": startCaddy, "haproxy": startHAProxy}

// gateway is a proxy in front of an origin, which asks a daemon.
type gateway struct {
	dir     string // of the proxy's files
	port    string // of the proxy
	socket  string // where the proxy asks
	origin  string // host:port
	daemon  *daemon
	backend *backend
	config  settings // of the daemon

	mu   sync.Mutex // guards seen
	seen []string   // what the origin saw: host and target
}

// newGateway starts the origin and the daemon.
func newGateway(t *testing.T) *gateway {
	t.Helper()
	g := &gateway{backend: sandbox(t), port: strconv.Itoa(freePort(t))}
	origin := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen = append(g.seen, r.Host+" "+r.RequestURI)
		g.mu.Unlock()
		_, _ = io.WriteString(w, "origin\n")
	}))
	t.Cleanup(origin.Close)
	g.origin = strings.TrimPrefix(origin.URL, "http://")
	dir, err := os.MkdirTemp("", "gate") // a short name: that of a socket is bounded
	require.NoError(t, err)
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	require.NoError(t, os.Chmod(dir, 0o755))
	g.dir, g.socket = dir, filepath.Join(dir, "gate.sock")
	g.config = g.settings(t, g.socket)
	g.daemon = serve(t, g.config)
	return g
}

// settings are those of a daemon that is asked at a socket.
func (g *gateway) settings(t *testing.T, socket string) settings {
	t.Helper()
	rules := filepath.Join(g.dir, "gate.yaml")
	require.NoError(t, os.WriteFile(rules, []byte(gateRules), 0o644))
	return newSettings(t, g.backend.url).set("gate.listen", "unix:"+socket).set("gate.rules", rules).set("socket_mode", "0666").
		set("gate.request_id_header", "X-Request-Id").set("gate.timeout", "5s")
}

// open starts a proxy in front of the gateway's origin, and returns once it answers.
func (g *gateway) open(t *testing.T, name string, edit func(string) string) {
	t.Helper()
	if edit == nil {
		edit = func(text string) string { return text }
	}
	proxies[name](t, g, edit)
	eventually(t, 10*time.Second, "the proxy answers", func() bool {
		c, err := net.DialTimeout("tcp", "127.0.0.1:"+g.port, time.Second)
		if err == nil {
			_ = c.Close()
		}
		return err == nil
	})
}

// reached is how many calls the origin saw.
func (g *gateway) reached() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.seen)
}

// get makes a call of the API as it is written, and returns what its caller sees.
func (g *gateway) get(t *testing.T, host, target string, header ...string) (status int, body string, answer http.Header) {
	t.Helper()
	text := raw(t, "127.0.0.1:"+g.port, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s\r\n", target, host, strings.Join(header, "")))
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	_, err := fmt.Sscanf(head, "HTTP/1.1 %d", &status)
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
func (g *gateway) runProxy(t *testing.T, name string, args ...string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("no %s on this machine", name)
	}
	said, err := os.Create(filepath.Join(g.dir, "log"))
	require.NoError(t, err)
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "HOME="+g.dir)
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // nginx ends its workers with it
		_ = cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(said.Name())
			t.Logf("%s: %s", name, tail(strings.Split(string(text), "\n"), 20))
		}
		_ = said.Close()
	})
}

// write writes a file of the proxy.
func (g *gateway) write(t *testing.T, name, text string) (file string) {
	t.Helper()
	file = filepath.Join(g.dir, name)
	require.NoError(t, os.WriteFile(file, []byte(text), 0o644))
	return file
}

func startNginx(t *testing.T, g *gateway, edit func(string) string) {
	site := edit(strings.NewReplacer("/run/reporterd/gate.sock", g.socket, "listen 80;", "listen 127.0.0.1:"+g.port+";", "127.0.0.1:8080", g.origin).
		Replace(documented(t, "nginx")))
	file := g.write(t, "nginx.conf", fmt.Sprintf("daemon off; pid %[1]s/pid; error_log stderr; events {}\nhttp { access_log off; client_body_temp_path %[1]s/b;"+
		" proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;\n%[2]s}\n", g.dir, site))
	g.runProxy(t, "nginx", "-c", file, "-p", g.dir)
}

func startCaddy(t *testing.T, g *gateway, edit func(string) string) {
	site := edit(strings.NewReplacer("/run/reporterd/gate.sock", g.socket, "http://api.example.com {", "http://:"+g.port+" {", "127.0.0.1:8080", g.origin).
		Replace(documented(t, "caddyfile")))
	g.runProxy(t, "caddy", "run", "--config", g.write(t, "Caddyfile", "{\n admin off\n auto_https off\n}\n"+site), "--adapter", "caddyfile")
}

func startHAProxy(t *testing.T, g *gateway, edit func(string) string) {
	lua := g.write(t, "reporterd.lua", edit(strings.ReplaceAll(documented(t, "lua"), "/run/reporterd/gate.sock", g.socket)))
	site := edit(strings.NewReplacer("/etc/haproxy/reporterd.lua", lua, "bind :80", "bind 127.0.0.1:"+g.port, "127.0.0.1:8080", g.origin).
		Replace(documented(t, "haproxy")))
	g.runProxy(t, "haproxy", "-db", "-f", g.write(t, "haproxy.cfg", site))
}

// gateways runs a test behind each proxy.
func gateways(t *testing.T, test func(t *testing.T, name string)) {
	t.Helper()
	if os.Getenv("REPORTERD_GATEWAYS") == "" {
		t.Skip("needs nginx, caddy and haproxy: set REPORTERD_GATEWAYS=1")
	}
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, name)
		})
	}
}
