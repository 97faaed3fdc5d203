package cli_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const stopConfig = `
data_dir: data
listen: "127.0.0.1:0"
admin: {listen: "127.0.0.1:0"}
spool: {max_bytes: 256MiB, min_free_bytes: 0B}
batch: {flush_interval: 1h}
services: [{id: "1001", token: stoken1001}]
`

// TestAStopSendsWhatItHas: usage of an application that nothing is known of yet is asked about, sent and counted within
// the stop that follows it.
func TestAStopSendsWhatItHas(t *testing.T) {
	dir := t.TempDir()
	url := "http://" + start(t, dir, "sandbox", "--listen", "127.0.0.1:0").address("sandbox")
	d := start(t, dir, "serve", "--backend-url", url, "--config", configFile(t, dir, stopConfig))
	traffic, _ := d.ready()
	status, body := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", "["+event+`,{"service_id":"1001","app_id":"app2","usage":{"hits":1}}]`)
	require.Equal(t, http.StatusAccepted, status, body)
	require.Equal(t, 0, d.stop())
	assert.Contains(t, d.logged(), `"pending":0`)
	_, body = get(t, url+"/sandbox/usage")
	assert.JSONEq(t, `{"1001":{"app1":{"hits":1},"app2":{"hits":1}}}`, body)
}

// TestStopDelay: after the order to stop it is not ready and still accepts, for stop_delay; then it stops.
func TestStopDelay(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	url := "http://" + start(t, dir, "sandbox", "--listen", "127.0.0.1:0").address("sandbox")
	d := start(t, dir, "serve", "--backend-url", url, "--config", configFile(t, dir, stopConfig+"stop_delay: 3s\n"))
	traffic, admin := d.ready()
	begun := time.Now()
	require.NoError(t, d.cmd.Process.Signal(syscall.SIGTERM))
	d.eventually("not ready", func() bool {
		status, body := get(t, admin+"/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, "stopping")
	})
	status, body := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", event)
	require.Equal(t, http.StatusAccepted, status, body)
	<-d.exited
	assert.GreaterOrEqual(t, time.Since(begun), 3*time.Second)
	assert.Equal(t, 0, d.cmd.ProcessState.ExitCode())
	assert.Contains(t, d.logged(), `"pending":0`)
}
