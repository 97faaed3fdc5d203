package test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// behind starts a daemon with a bound on the connections of one client address, and prepares a proxy in front of it.
func behind(t *testing.T, change func(s settings)) (*gateway, *daemon) {
	t.Helper()
	if os.Getenv("REPORTERD_GATEWAYS") == "" {
		t.Skip("needs nginx and haproxy: set REPORTERD_GATEWAYS=1")
	}
	b := sandbox(t)
	s := newSettings(t, b.url).set("limits.max_connections_per_address", 8).set("admin.open", false)
	change(s)
	p := reporterd(t, "serve", "--config", s.write(t))
	g := &gateway{dir: t.TempDir(), port: strconv.Itoa(freePort(t))}
	return g, &daemon{process: p, admin: "http://" + p.await("admin"), traffic: "http://" + p.await("traffic")}
}

// hammer makes 1,000 calls by 40 clients that keep their connections, and returns how many were answered with 200, and the others.
func hammer(url string) (fine int64, bad map[string]int) {
	var clients sync.WaitGroup
	var good atomic.Int64
	var mu sync.Mutex
	bad = map[string]int{}
	for range 40 {
		clients.Go(func() {
			client := newClient()
			for range 25 {
				got, err := call(client, http.MethodGet, url, "", nil)
				if err == nil && got.status == http.StatusOK {
					good.Add(1)
					continue
				}
				mu.Lock()
				bad[fmt.Sprint(got.status, err)]++
				mu.Unlock()
			}
		})
	}
	clients.Wait()
	return good.Load(), bad
}

const authorizeCall = "/transactions/authorize.xml?service_token=stoken1001&service_id=1001&app_id=app2"

// TestBehindNginx: the connections of a trusted proxy are those of many clients, and its default proxy_pass opens no console.
func TestBehindNginx(t *testing.T) {
	t.Parallel()
	g, d := behind(t, func(s settings) { s.set("proxies.trusted", "127.0.0.1").set("proxies.address_header", "X-Real-IP") })
	g.runProxy(t, "nginx", "-p", g.dir, "-c", g.write(t, "nginx.conf", fmt.Sprintf(`daemon off; pid %[1]s/pid; error_log stderr; events {}
http { access_log off; client_body_temp_path %[1]s/b; proxy_temp_path %[1]s/p; fastcgi_temp_path %[1]s/f; uwsgi_temp_path %[1]s/u; scgi_temp_path %[1]s/s;
 server { listen 127.0.0.1:%[2]s;
  location / { proxy_pass %[3]s; }
  location /console/ { proxy_pass %[4]s/; }
 } }`, g.dir, g.port, d.traffic, d.admin)))
	url := "http://127.0.0.1:" + g.port
	eventually(t, 10*time.Second, "nginx answers", func() bool {
		got, err := call(testClient, http.MethodGet, url+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	})
	fine, bad := hammer(url + authorizeCall)
	assert.EqualValues(t, 1000, fine, "%v", bad)
	for path, want := range map[string]int{"/": 200, "/readyz": 200, "/metrics": 401, "/api/v1/status": 401, "/api/v1/deadletters": 401} {
		got, err := call(testClient, http.MethodGet, url+"/console"+path, "", nil)
		assert.NoError(t, err)
		assert.Equal(t, want, got.status, path)
	}
	for _, order := range []string{"/-/flush", "/-/reload", "/api/v1/deadletters/drop"} {
		got, err := call(testClient, http.MethodPost, url+"/console"+order, "application/json", []byte("{}"))
		assert.NoError(t, err)
		assert.Equal(t, http.StatusUnauthorized, got.status, order)
	}
}

// TestBehindHAProxy: with PROXY headers a bound on connections holds for a client and not for the proxy; HAProxy's checks, in HTTP/1.0
// without a Host, find the daemon ready.
func TestBehindHAProxy(t *testing.T) {
	t.Parallel()
	g, d := behind(t, func(s settings) { s.set("proxies.trusted", "127.0.0.1").set("proxies.protocol", "traffic") })
	g.runProxy(t, "haproxy", "-db", "-f", g.write(t, "haproxy.cfg", fmt.Sprintf(`defaults
 mode http
 timeout connect 5s
 timeout client 30s
 timeout server 30s
listen api
 bind 127.0.0.1:%s
 option httpchk GET /readyz
 http-reuse never
 server a %s check inter 200ms send-proxy-v2
`, g.port, strings.TrimPrefix(d.traffic, "http://"))))
	url := "http://127.0.0.1:" + g.port
	eventually(t, 10*time.Second, "HAProxy finds the daemon ready", func() bool {
		got, err := call(testClient, http.MethodGet, url+authorizeCall, "", nil)
		return err == nil && got.status == http.StatusOK
	})
	connect := func(from byte) int { // a client that keeps its connection
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 1, from)}}
		c, err := d.DialContext(t.Context(), "tcp", "127.0.0.1:"+g.port)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
		_, err = io.WriteString(c, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
		require.NoError(t, err)
		answer, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	statuses := map[int]int{}
	for i := range 40 {
		statuses[connect(byte(i+1))]++
	}
	assert.Equal(t, map[int]int{http.StatusOK: 40}, statuses, "40 clients with one connection each")
	statuses = map[int]int{}
	for range 12 {
		statuses[connect(100)]++
	}
	assert.Equal(t, 8, statuses[http.StatusOK], "one client with 12: %v", statuses)
}
