package cli_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// status --watch prints again and again, also after the daemon was away, and Ctrl-C ends it well.
func TestStatusWatch(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	d.ready()
	w := startCommand(t, command(t, dir, nil, "status", "--watch", "--interval", "100ms", "--data-dir", "reporterd-data"))
	times := func() int { return strings.Count(w.printed(), "accepted = ") }
	w.eventually("it is printed twice", func() bool { return times() >= 2 })
	require.Equal(t, 0, d.stop())
	w.eventually("it says that the daemon is away", func() bool { return strings.Contains(w.logged(), "cannot reach the daemon") })
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGINT))
	<-w.exited
	assert.Zero(t, w.cmd.ProcessState.ExitCode())
}

// top prints what happened in each interval as JSON, too.
func TestTop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	d := sandboxed(t, dir)
	d.ready()
	w := startCommand(t, command(t, dir, nil, "top", "--interval", "200ms", "-o", "json", "--data-dir", "reporterd-data"))
	w.eventually("it began", func() bool { return strings.Contains(w.printed(), `"in_per_second":0,`) })
	fine(t, dir, "send --service 1001 --app app1 --usage hits=1")
	w.eventually("the event is seen", func() bool {
		for line := range strings.Lines(w.printed()) {
			if !strings.Contains(line, `"in_per_second":0,`) {
				return strings.Contains(line, `"in_per_second":`)
			}
		}
		return false
	})
	require.NoError(t, w.cmd.Process.Signal(syscall.SIGINT))
	<-w.exited
	assert.Zero(t, w.cmd.ProcessState.ExitCode())
}
