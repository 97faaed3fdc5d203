package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A daemon that is ready is healthy; one that is gone is not, which is said in words and by the exit
// status.
func TestHealthcheck(t *testing.T) {
	dir := t.TempDir()
	d := sandboxed(t, dir)
	_, admin := d.ready()
	assert.Contains(t, fine(t, dir, "healthcheck"), "ok")
	assert.Contains(t, fine(t, dir, "healthcheck --live"), "ok")
	status, stdout, _ := execute(t, dir, nil, "healthcheck", "--admin-url", admin)
	assert.Equal(t, 0, status)
	assert.Contains(t, stdout, "ok")

	status, _, stderr := execute(t, dir, nil, "healthcheck", "--admin-url", admin+"/nowhere")
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "is "+admin+"/nowhere its admin listener?")
	status, _, stderr = runIn(t, dir, "healthcheck --timeout 0s")
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, "--timeout")

	require.Equal(t, 0, d.stop())
	status, _, stderr = runIn(t, dir, "healthcheck")
	assert.Equal(t, 1, status)
	assert.Contains(t, stderr, "connection refused")
}

// A daemon without room is alive and not ready; why is what the check prints.
func TestHealthcheckOfFullSpool(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "r.yaml"), []byte(
		`{data_dir: reporterd-data, listen: "127.0.0.1:0", admin: {listen: "127.0.0.1:0"}, spool: {max_bytes: 1MiB, min_free_bytes: 1PiB}}`), 0o600))
	d := start(t, dir, "serve", "--config", "r.yaml")
	d.address("admin")
	d.eventually("it answers, and is not ready", func() bool {
		status, _, stderr := execute(t, dir, nil, "healthcheck", "--config", "r.yaml")
		return status == 1 && strings.Contains(stderr, "not ready") && strings.Contains(stderr, "min_free_bytes")
	})
	status, stdout, _ := execute(t, dir, nil, "healthcheck", "--config", "r.yaml", "--live")
	assert.Equal(t, 0, status)
	assert.Equal(t, "ok\n", stdout)
}
