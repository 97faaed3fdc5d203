package cli_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Connections to the admin listener need no token. However many there are, the store gets its files.
func TestConnectionsTakeNoDescriptorFromTheStore(t *testing.T) {
	const limit, connections = 400, 800
	dir := t.TempDir()
	shell := fmt.Sprintf(`ulimit -n %d; exec %s serve --sandbox --data-dir d --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 `+
		`--sandbox-listen 127.0.0.1:0 --nats-listen 127.0.0.1:0 --log-format json`, limit, program)
	d := startCommand(t, shellCommand(t, dir, shell))
	traffic, admin := d.ready()
	open := 0
	for _, address := range []string{d.address("admin"), d.address("traffic"), d.address("nats"), d.address("admin")} {
		for range connections / 4 {
			if conn, err := net.Dial("tcp", address); err == nil {
				open++
				t.Cleanup(func() { _ = conn.Close() })
			}
		}
		accepted := 0
		for i := range 40 {
			status, body := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", `{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`)
			if status == http.StatusAccepted {
				accepted++
			} else {
				t.Logf("event %d: %d %s", i, status, body)
			}
		}
		assert.Equal(t, 40, accepted, "beside %d connections", open)
	}
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.cmd.Process.Pid))
	require.NoError(t, err)
	assert.Less(t, len(files), limit-20, "of %d", limit)
	status, body := send(t, http.DefaultClient, http.MethodPost, admin+"/-/flush", "")
	assert.Equal(t, http.StatusOK, status, body)
	d.eventually("all are delivered", func() bool {
		_, body := get(t, admin+"/api/v1/status")
		return strings.Contains(body, `"accepted":160,"duplicates":0,"delivered":160,`) && strings.Contains(body, `"lost":0`)
	})
	log := d.logged()
	assert.NotContains(t, log, "too many open files")
	assert.Equal(t, 1, strings.Count(log, `"msg":"file descriptors"`))
	assert.Contains(t, log, `"limit":400`)
	assert.Contains(t, log, "limits.max_connections")
}
