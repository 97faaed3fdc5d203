package test

import (
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// awayFor is how long a directory is not there, and noticedIn how soon the daemon stops acknowledging because of that.
const (
	awayFor   = 6 * time.Second
	noticedIn = awayFor / 3
)

// TestDirectoryAway: a directory of the spool, or all of the data directory, is away for a while, or may not be read.
// Acknowledging stops within two seconds, and when the directory is back everything acknowledged is delivered.
func TestDirectoryAway(t *testing.T) {
	move := func(t *testing.T, name string) (back func()) {
		require.NoError(t, os.Rename(name, name+".away"))
		return func() { require.NoError(t, os.Rename(name+".away", name)) }
	}
	lock := func(t *testing.T, name string) (back func()) {
		require.NoError(t, os.Chmod(name, 0))
		return func() { require.NoError(t, os.Chmod(name, 0o700)) }
	}
	for _, c := range []struct {
		name string
		part string // of the data directory
		take func(t *testing.T, name string) (back func())
	}{
		{"journal is moved away", "journal", move},
		{"batches is moved away", "batches", move},
		{"the data directory is moved away", ".", move},
		{"the data directory may not be entered", ".", lock},
	} {
		t.Run(c.name, func(t *testing.T) {
			needFaults(t)
			if c.part == "." {
				needRoot(t)
			}
			f := newTrial(t, newSettings(t, ""), c.name, 3)
			d := f.unprivileged()
			back := c.take(t, filepath.Clean(filepath.Join(f.dataDir, c.part)))
			late := f.observe(d, awayFor)
			back()
			assert.Zero(t, late, "acknowledged later than %v after the directory went away", noticedIn)
			assert.True(t, f.row.unready, "/readyz answers 503")
			f.finish(f.recovered(d))
			t.Logf("%d acknowledged; %+v", f.row.acked, f.row.events.Events)
		})
	}
}

// TestDirectoryRemoved: the data directory is removed under a running daemon. It acknowledges nothing from then on, and
// says why.
func TestDirectoryRemoved(t *testing.T) {
	needFaults(t)
	f := newTrial(t, newSettings(t, ""), "removed", 4)
	d := f.serve()
	require.NoError(t, os.RemoveAll(f.dataDir))
	late := f.observe(d, awayFor)
	f.load.aim("")
	assert.Zero(t, late, "acknowledged later than %v after the directory was removed", noticedIn)
	assert.True(t, f.row.unready || d.gone(), "/readyz answers 503, or the daemon has exited")
	assert.Contains(t, tail(d.logged(), 200), f.dataDir)
	assert.NotEmpty(t, troubles(d))
	d.kill()
}

// TestLockRemoved: the lock file is removed under a running daemon and a second one is started. They never acknowledge into
// one directory, and everything acknowledged is delivered.
func TestLockRemoved(t *testing.T) {
	needFaults(t)
	f := newTrial(t, newSettings(t, ""), "lock", 5)
	first := f.serve()
	require.NoError(t, os.Remove(filepath.Join(f.dataDir, "lock")))
	f.row.lives++
	url, leave := f.witness.attend(t, f.row.lives)
	second := launch(t, f.config, "--backend-url", url)
	f.killed[1], f.killed[2] = true, true
	ready := func() bool {
		if second.address("traffic") == "" || second.address("admin") == "" {
			return false
		}
		got, err := call(testClient, http.MethodGet, "http://"+second.address("admin")+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	}
	ctx := shortly(t)
	poll(ctx, func() bool { return second.gone() || ready() })
	if !second.gone() && second.address("traffic") != "" {
		second.traffic = "http://" + second.address("traffic")
		f.load.aim(first.traffic, second.traffic)
	}
	pause(t.Context(), 2*time.Second)
	takers := 0
	for _, d := range []*daemon{first, second} {
		if d.traffic == "" || d.gone() {
			continue
		}
		q := newRequest(f.rand(), "")
		got, err := call(testClient, http.MethodPost, d.traffic+q.path, q.contentType, q.body)
		if err == nil && got.status == http.StatusAccepted {
			takers++
			f.load.ledger.keep(q)
		}
	}
	assert.LessOrEqual(t, takers, 1, "daemons that acknowledge into the directory")
	f.load.aim("")
	first.kill()
	second.kill()
	leave()
	d := f.begin(launch)
	d.ready()
	f.finish(d)
	t.Logf("%d acknowledged, by %d daemons at once; %+v", f.row.acked, takers, f.row.events.Events)
}

// needRoot skips what only root may do: run a daemon as another user.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to run the daemon as another user")
	}
}

// unprivileged is serve with a daemon that root's rights do not help.
func (f *trial) unprivileged() *daemon {
	if os.Geteuid() != 0 {
		return f.serve()
	}
	const nobody = 65534
	parent := filepath.Dir(f.dataDir)
	require.NoError(f.t, os.Chown(parent, nobody, nobody))
	require.NoError(f.t, os.Chown(f.config, nobody, nobody))
	open(f.t, filepath.Dir(parent))
	d := f.begin(func(t testing.TB, config string, args ...string) *daemon {
		cmd := command(t, append([]string{"serve", "--config", config}, args...)...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
		return &daemon{process: start(t, cmd)}
	})
	d.ready()
	f.load.aim(d.traffic)
	pause(f.t.Context(), 300*time.Millisecond)
	return d
}
