package test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// raw sends bytes to an address, and returns what comes until the connection ends; empty: it was closed.
func raw(t testing.TB, address, text string) string {
	t.Helper()
	network := "tcp"
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, address = "unix", path
	}
	c, err := net.Dial(network, strings.TrimPrefix(address, "http://"))
	require.NoError(t, err)
	defer func() { _ = c.Close() }()
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	_, err = io.WriteString(c, text)
	require.NoError(t, err)
	got, _ := io.ReadAll(c) // a connection that is reset has said nothing
	return string(got)
}

// operatorsFile is a file with one token, of the name and with the scope.
func operatorsFile(t testing.TB, name, scope string) (file, token string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "operators.yaml")
	out, err := command(t, "token", "create", "--name", name, "--scopes", scope, "--file", file).Output()
	require.NoError(t, err)
	return file, strings.TrimSpace(string(out))
}

// orders are the log's lines about orders.
func orders(d *daemon) (all []map[string]any) {
	for _, line := range d.logged() {
		var entry map[string]any
		if json.Unmarshal([]byte(line), &entry) == nil && entry["msg"] == "order" {
			all = append(all, entry)
		}
	}
	return all
}

// TestBehindProxies: health checks under any name, PROXY headers and forwarded addresses, and who ordered from where.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	rules := filepath.Join(t.TempDir(), "gate.yaml")
	require.NoError(t, os.WriteFile(rules, []byte(gateRules), 0o600))
	operators, token := operatorsFile(t, "night-shift", "write")
	s := newSettings(t, sandbox(t).url).set("admin.tokens_file", operators).set("gate.listen", "127.0.0.1:0").set("gate.rules", rules).
		set("proxies.trusted", "127.0.0.1, 10.0.0.0/8").set("proxies.protocol", "admin").set("proxies.address_header", "X-Forwarded-For").
		set("limits.max_connections_per_address", 1)
	p := reporterd(t, "serve", "--config", s.write(t))
	admin, traffic := p.await("admin"), p.await("traffic")
	const header = "PROXY TCP4 10.0.0.9 10.0.0.1 4000 80\r\n"
	for _, address := range []string{traffic, p.await("gate"), admin} {
		begin := ""
		if address == admin {
			begin = header
		}
		for _, host := range []string{"", "Host: balancer.example\r\n", "Host: 127.0.0.1\r\n"} {
			for _, path := range []string{"/livez", "/readyz"} {
				eventually(t, 10*time.Second, "it is ready", func() bool {
					return strings.Contains(raw(t, address, begin+"GET "+path+" HTTP/1.0\r\n"+host+"\r\n"), " 200 OK\r\n")
				})
			}
		}
	}
	flush := fmt.Sprintf("POST /-/flush HTTP/1.0\r\nAuthorization: Bearer %s\r\n%%s\r\n", token)
	assert.Empty(t, raw(t, admin, fmt.Sprintf(flush, "")), "without the header the connection is closed")
	assert.Contains(t, raw(t, admin, header+fmt.Sprintf(flush, "X-Forwarded-For: 198.51.100.1, 203.0.113.7\r\n")), " 200 OK")
	assert.Contains(t, raw(t, admin, strings.Replace(header, "10.0.0.9", "192.0.2.1", 1)+fmt.Sprintf(flush, "X-Forwarded-For: 198.51.100.1\r\n")), " 200 OK")
	d := &daemon{process: p}
	eventually(t, 10*time.Second, "two orders are logged", func() bool { return len(orders(d)) == 2 })
	assert.Equal(t, "203.0.113.7", orders(d)[0]["from"], "the caller of a trusted proxy")
	assert.Equal(t, "192.0.2.1:4000", orders(d)[1]["from"], "the peer is no trusted proxy")
	assert.Equal(t, "night-shift", orders(d)[0]["token"])

	for range 5 { // connections that stay: a proxy's are not those of one client
		c, err := net.Dial("tcp", traffic)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
		_, err = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(10*time.Second)))
		_, err = io.ReadFull(c, make([]byte, len("HTTP/1.1 200 OK")))
		require.NoError(t, err)
	}
}

// TestClosedConsole: without tokens on an address of this machine, only the daemon's own commands are answered.
func TestClosedConsole(t *testing.T) {
	t.Parallel()
	s := newSettings(t, sandbox(t).url).set("admin.open", false)
	p := reporterd(t, "serve", "--config", s.write(t))
	admin := "http://" + p.await("admin")
	eventually(t, 10*time.Second, "it is ready", func() bool {
		got, err := call(testClient, http.MethodGet, admin+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	})
	for _, c := range [][2]string{{"GET", "/metrics"}, {"GET", "/api/v1/status"}, {"POST", "/-/flush"}, {"POST", "/api/v1/deadletters/drop"}, {"GET", "/stats/services/1001/usage.json"}} {
		got, err := call(testClient, c[0], admin+c[1], "application/json", []byte("{}"))
		require.NoError(t, err)
		assert.Contains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, got.status, c) // 3scale's own APIs say 403
	}
	out, err := command(t, "flush", "--data-dir", s.dataDir()).CombinedOutput()
	assert.NoError(t, err, "%s", out)
}
