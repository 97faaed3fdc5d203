package test

import (
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// serviceManager is systemd's end of a notification socket.
type serviceManager struct {
	mu    sync.Mutex // guards heard
	heard []string
}

func newServiceManager(t *testing.T) (m *serviceManager, address string) {
	t.Helper()
	address = filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: address, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	m = &serviceManager{}
	go func() { // ends with the socket
		b := make([]byte, 4096)
		for {
			n, err := conn.Read(b)
			if err != nil {
				return
			}
			m.mu.Lock()
			m.heard = append(m.heard, string(b[:n]))
			m.mu.Unlock()
		}
	}()
	return m, address
}

func (m *serviceManager) all() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return strings.Join(m.heard, "\n") + "\n"
}

// TestServiceManager: systemd is told when the daemon is ready, what it does, that it lives, that it reloads, and that it
// stops.
func TestServiceManager(t *testing.T) {
	t.Parallel() // it waits more than it works
	m, address := newServiceManager(t)
	b := sandbox(t)
	cmd := command(t, "serve", "--config", newSettings(t, b.url).write(t))
	cmd.Env = append(cmd.Env, "NOTIFY_SOCKET="+address, "WATCHDOG_USEC=1000000")
	d := &daemon{process: start(t, cmd)}
	d.ready()
	eventually(t, 10*time.Second, "READY", func() bool { return strings.Contains(m.all(), "READY=1\n") })
	assert.Contains(t, m.all(), "STATUS=0 events pending\n")
	eventually(t, 10*time.Second, "it lives", func() bool { return strings.Count(m.all(), "WATCHDOG=1\n") >= 2 })
	b.failReports(fault{Status: 503})
	d.send(hit("1001", "app1"), hit("1001", "app2"))
	eventually(t, 10*time.Second, "what it does", func() bool { return strings.Contains(m.all(), "STATUS=2 events pending") })
	mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/-/reload", nil)
	eventually(t, 10*time.Second, "it reloads, and is ready again", func() bool {
		_, after, found := strings.Cut(m.all(), "RELOADING=1\nMONOTONIC_USEC=")
		return found && strings.Contains(after, "READY=1\n")
	})
	d.signal(syscall.SIGTERM)
	require.Equal(t, 0, d.exit(20*time.Second))
	assert.Contains(t, m.all(), "STOPPING=1\n")
}
