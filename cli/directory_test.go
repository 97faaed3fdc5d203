package cli_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const oneEvent = `{"service_id":"1001","app_id":"app1","usage":{"hits":1}}`

// A data directory that goes away while the daemon runs takes nothing more; when it is back, it does. It is said once.
func TestDataDirectoryThatGoesAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	traffic, admin := d.ready()
	data := filepath.Join(dir, "reporterd-data")
	statusOf := func(method, url, body string) int {
		status, _ := send(t, http.DefaultClient, method, url, body)
		return status
	}
	require.Equal(t, http.StatusAccepted, statusOf(http.MethodPost, traffic+"/v1/events", oneEvent))
	require.NoError(t, os.Rename(data, data+".away"))
	d.eventually("nothing is accepted", func() bool {
		return statusOf(http.MethodPost, traffic+"/v1/events", oneEvent) == http.StatusServiceUnavailable
	})
	status, answer := send(t, http.DefaultClient, http.MethodGet, admin+"/readyz?verbose", "")
	assert.Equal(t, http.StatusServiceUnavailable, status)
	assert.Contains(t, answer, "data directory")
	_, metrics := send(t, http.DefaultClient, http.MethodGet, admin+"/metrics", "")
	assert.Contains(t, metrics, "reporterd_spool_directory_replaced 1")
	d.eventually("it is logged", func() bool { return strings.Contains(d.logged(), "was removed or replaced") })
	require.NoError(t, os.Rename(data+".away", data))
	d.eventually("it goes on", func() bool {
		return statusOf(http.MethodPost, traffic+"/v1/events", oneEvent) == http.StatusAccepted
	})
	assert.Zero(t, counts(t, admin)["lost"])
	d.eventually("its end is logged", func() bool { return strings.Contains(d.logged(), "is back") })
	assert.Zero(t, d.stop())
}

// Removing the lock file lets no second daemon in, and the first one stops accepting.
func TestLockThatGoesAway(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	traffic, _ := d.ready()
	require.NoError(t, os.Remove(filepath.Join(dir, "reporterd-data", "lock")))
	second := sandboxed(t, dir)
	<-second.exited
	assert.Contains(t, second.logged(), "in use by process")
	d.eventually("nothing is accepted", func() bool {
		status, _ := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", oneEvent)
		return status == http.StatusServiceUnavailable
	})
	d.stop()
}

// spool restored refuses a directory in use, and has the next start park what is there.
func TestSpoolRestored(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := filepath.Join(dir, "reporterd-data")
	d := sandboxed(t, dir)
	d.ready()
	status, _, stderr := execute(t, dir, nil, "spool", "restored", "--data-dir", data)
	assert.NotZero(t, status)
	assert.Contains(t, stderr, "in use by process")
	assert.Zero(t, d.stop())
	loseNothing(t, data)
	status, stdout, _ := execute(t, dir, nil, "spool", "restored", "--data-dir", data)
	assert.Zero(t, status)
	assert.Contains(t, stdout, "parks")
	d = sandboxed(t, dir)
	_, admin := d.ready()
	_, answer := send(t, http.DefaultClient, http.MethodGet, admin+"/api/v1/parked", "")
	assert.Contains(t, answer, `"app2"`)
	assert.Contains(t, d.logged(), "parked and not sent until you decide")
	assert.Zero(t, d.stop())
}
