package test

import (
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// needFaults skips what lets a machine fail for seconds, unless it is asked for.
func needFaults(t *testing.T) {
	t.Helper()
	linuxOnly(t)
	if os.Getenv(faultsVariable) == "" {
		t.Skipf("a machine that fails for seconds: %s=1", faultsVariable)
	}
	t.Parallel() // it waits more than it works
}

// TestNoDescriptors: the process gets no new descriptor for a while, several times. Batches that cannot be opened
// meanwhile are not given up.
func TestNoDescriptors(t *testing.T) {
	needFaults(t)
	f := newTrial(t, newSettings(t, ""), "no descriptors", 1)
	d := f.serve()
	for range 5 {
		var before unix.Rlimit
		require.NoError(t, unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_NOFILE, nil, &before))
		none := before
		none.Cur = 3 // each number below is taken
		require.NoError(t, unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_NOFILE, &none, nil))
		pause(t.Context(), 1500*time.Millisecond)
		require.NoError(t, unix.Prlimit(d.cmd.Process.Pid, unix.RLIMIT_NOFILE, &before, nil))
		pause(t.Context(), 500*time.Millisecond)
	}
	f.finish(f.recovered(d))
	t.Logf("%d acknowledged; %+v", f.row.acked, f.row.events.Events)
}

// TestConnectionFlood: whoever can connect opens more connections than the process may have descriptors, at a listener
// that the configuration does not bound. Usage goes on being acknowledged and delivered, and none is lost.
func TestConnectionFlood(t *testing.T) {
	const limit = 128
	for _, c := range []struct {
		listener string
		address  func(d *daemon) string
	}{
		{"admin", func(d *daemon) string { return d.await("admin") }},
		{"traffic", func(d *daemon) string { return d.await("traffic") }},
	} {
		t.Run(c.listener, func(t *testing.T) {
			needFaults(t)
			s := newSettings(t, "").set("limits.max_connections", 0).set("limits.max_connections_per_address", 0)
			f := newTrial(t, s, "flood of "+c.listener, 2)
			d := f.begin(func(t testing.TB, config string, args ...string) *daemon {
				return launchWith(t, fmt.Sprintf("ulimit -n %d", limit), config, args...)
			})
			d.ready()
			f.load.aim(d.traffic)
			pause(t.Context(), 300*time.Millisecond)
			var open []net.Conn
			for range 2 * limit {
				conn, err := net.DialTimeout("tcp", c.address(d), time.Second)
				if err == nil {
					open = append(open, conn)
				}
			}
			late := f.observe(d, 4*time.Second)
			for _, conn := range open {
				_ = conn.Close()
			}
			assert.NotZero(t, late, "usage is acknowledged during the flood")
			f.finish(f.recovered(d))
			t.Logf("%d connections; %d acknowledged, %d of them late in the flood; %+v", len(open), f.row.acked, late, f.row.events.Events)
		})
	}
}
