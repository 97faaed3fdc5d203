package systemd

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// manager is a service manager's socket.
func manager(t *testing.T) func() string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Second)))
		b := make([]byte, 4096)
		n, err := conn.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
}

func TestNotifier(t *testing.T) {
	heard := manager(t)
	t.Setenv("WATCHDOG_USEC", "10000000")
	n, err := New()
	require.NoError(t, err)
	assert.Equal(t, 5*time.Second, n.Every())
	assert.Empty(t, os.Getenv("NOTIFY_SOCKET"), "children do not speak for the daemon")
	n.Ready()
	assert.Equal(t, "READY=1", heard())
	n.Status("3 events pending")
	n.Status("3 events pending")
	n.Status("none")
	assert.Equal(t, "STATUS=3 events pending", heard())
	assert.Equal(t, "STATUS=none", heard())
	n.Reloading()
	assert.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=\d+$`, heard())
	n.Alive()
	assert.Equal(t, "WATCHDOG=1", heard())
	n.Stopping()
	assert.Equal(t, "STOPPING=1", heard())
}

// TestNobody: without a manager, or with one that wants no signs of life of this process.
func TestNobody(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n, err := New()
	require.NoError(t, err)
	require.Nil(t, n)
	n.Ready()
	n.Status("nobody")
	assert.Zero(t, n.Every())

	manager(t)
	t.Setenv("WATCHDOG_USEC", "10000000")
	t.Setenv("WATCHDOG_PID", "1")
	n, err = New()
	require.NoError(t, err)
	assert.Zero(t, n.Every(), "they are another's")

	t.Setenv("NOTIFY_SOCKET", filepath.Join(t.TempDir(), "nowhere"))
	_, err = New()
	assert.ErrorContains(t, err, "systemd: notification socket")
}
