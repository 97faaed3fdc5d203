package cli_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Producers choose the ids of applications: they must not command the terminal of who lists them.
func TestTablesDoNotCommandTheTerminal(t *testing.T) {
	dir := t.TempDir()
	for _, sub := range []string{"batches", "deadletters"} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, "reporterd-data", sub), 0o700))
	}
	const letter = `{"service_id":"1001","app_id":"a\u001b[2J","usage":{"h\u001b]0;x\u0007":1},"events":1,"reason":{"code":"c\u001b[31m","message":"m\r"}}`
	file := filepath.Join(dir, "reporterd-data", "deadletters", "000000000001-0000-0000.json")
	require.NoError(t, os.WriteFile(file, []byte(letter), 0o600))
	for _, line := range []string{"deadletter ls", "deadletter show 000000000001-0000-0000"} {
		out := fine(t, dir, line)
		assert.Contains(t, out, "a\ufffd[2J")
		assert.NotContains(t, strings.ReplaceAll(out, "\n", ""), "\x1b", line)
		assert.NotContains(t, out, "\r", line)
	}
}

// The admin listener may be a socket, or be named by hand.
func TestDeadLettersOfADaemonElsewhere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	socket := "unix:" + filepath.Join(dir, "admin.sock")
	d := start(t, dir, "serve", "--sandbox", "--listen", "127.0.0.1:0", "--admin-listen", socket, "--sandbox-listen", "127.0.0.1:0", "--nats-listen", "127.0.0.1:0")
	d.eventually("ready", func() bool { return strings.Contains(d.logged(), `"msg":"ready"`) })
	assert.Equal(t, "requeue: 0 dead letters with 0 events\n", fine(t, dir, "deadletter requeue --all --yes"))
	for address, want := range map[string]int{socket: 0, "http://" + d.address("traffic"): 1, "127.0.0.1:1": 1} {
		status, _, stderr := execute(t, t.TempDir(), nil, "deadletter", "ls", "--admin-url", address)
		assert.Equal(t, want, status, stderr)
		if want != 0 {
			assert.Contains(t, stderr, "admin listener")
		}
	}
	status, _, stderr := runIn(t, dir, "deadletter show x --reveal-user-keys --admin-url "+socket)
	assert.Equal(t, 2, status)
	assert.Contains(t, stderr, "never tells user keys")
}
