package cli_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPrioritiesInTheJournal: where standard error is the journal, each line begins with its priority; elsewhere none does.
func TestPrioritiesInTheJournal(t *testing.T) {
	for _, journal := range []bool{true, false} {
		dir := t.TempDir()
		config := configFile(t, dir, "data_dir: data\nstop_timeout: 5s\nlisten: \"127.0.0.1:0\"\nadmin: {listen: nowhere}\n")
		out, err := os.Create(filepath.Join(dir, "journal"))
		require.NoError(t, err)
		defer out.Close()
		var info syscall.Stat_t
		require.NoError(t, syscall.Fstat(int(out.Fd()), &info))
		env := []string{fmt.Sprintf("JOURNAL_STREAM=%d:%d", info.Dev, info.Ino)}
		if !journal {
			env[0] += "0"
		}
		lines := func(args ...string) []string {
			require.NoError(t, out.Truncate(0))
			_, err := out.Seek(0, 0)
			require.NoError(t, err)
			cmd := command(t, dir, env, append([]string{"serve", "--config", config}, args...)...)
			cmd.Stderr = out
			_ = cmd.Run() // it fails
			text, err := os.ReadFile(out.Name())
			require.NoError(t, err)
			return strings.Split(strings.TrimSpace(string(text)), "\n")
		}
		for _, line := range lines() {
			assert.Equal(t, journal, strings.HasPrefix(line, "<3>"), line)
		}
		taken, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer taken.Close()
		levels := map[string]string{"info": "<6>", "warn": "<4>", "error": "<3>"}
		seen := map[string]bool{}
		for _, line := range lines("--admin-listen", taken.Addr().String()) {
			at := strings.Index(line, "{")
			require.GreaterOrEqual(t, at, 0, line)
			var entry struct{ Level string }
			require.NoError(t, json.Unmarshal([]byte(line[at:]), &entry), line)
			seen[entry.Level] = true
			if journal {
				assert.Equal(t, levels[entry.Level], line[:at])
			} else {
				assert.Empty(t, line[:at])
			}
		}
		assert.Len(t, seen, 3, "a line of each level")
	}
}

// TestLinesOfLibrariesGoThroughTheLog: what net/http prints by itself is an entry as any other.
func TestLinesOfLibrariesGoThroughTheLog(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	go func() { // ends with the listener
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Read(make([]byte, 64<<10))
			_, _ = conn.Write([]byte("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"))
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")) // to nothing that was asked
		}
	}()
	dir := t.TempDir()
	d := start(t, dir, "serve", "--config", configFile(t, dir, "data_dir: data\nlisten: \"127.0.0.1:0\"\nadmin: {listen: \"127.0.0.1:0\"}\n"+
		"spool: {max_bytes: 256MiB, min_free_bytes: 0B}\nbackend: {url: \"http://"+listener.Addr().String()+"\"}\nservices: [{id: \"1001\", token: t}]\n"))
	traffic, _ := d.ready()
	status, body := send(t, http.DefaultClient, http.MethodPost, traffic+"/v1/events", event)
	require.Equal(t, http.StatusAccepted, status, body)
	d.eventually("net/http complains", func() bool { return strings.Contains(d.logged(), "Unsolicited response") })
	for _, line := range strings.Split(strings.TrimSpace(d.logged()), "\n") {
		assert.True(t, json.Valid([]byte(line)), line)
	}
}

// TestVersionOption: --version says what the command version says.
func TestVersionOption(t *testing.T) {
	_, want, _ := execute(t, t.TempDir(), nil, "version")
	status, got, _ := execute(t, t.TempDir(), nil, "--version")
	assert.Equal(t, 0, status)
	assert.Equal(t, want, got)
}
