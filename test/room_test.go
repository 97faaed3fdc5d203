package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestQuota: when spool.max_bytes is used up, new events are refused with a time to come back, draining
// goes on, and then there is room again.
func TestQuota(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	s := newSettings(t, b.url).set("spool.max_bytes", "16MiB").set("batch.flush_interval", "1h")
	fillAndDrain(t, b, s, true, func() {}, func() {})
}

// TestFullDisk does the same on a file system that is really full, to the last byte.
func TestFullDisk(t *testing.T) {
	t.Parallel() // it waits more than it works
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", "size=48m,mode=0755", "none", dir).CombinedOutput(); err != nil {
		t.Skipf("needs to mount a tmpfs (run as root): %s", out)
	}
	t.Cleanup(func() { assert.NoError(t, syscall.Unmount(dir, syscall.MNT_DETACH)) })
	b := sandbox(t)
	s := newSettings(t, b.url).set("batch.flush_interval", "1h").
		set("data_dir", filepath.Join(dir, "data")).
		set("spool.max_bytes", "10GiB").set("spool.min_free_bytes", "8MiB")
	ballast := filepath.Join(dir, "ballast")
	fillAndDrain(t, b, s, false, func() { fill(t, ballast) }, func() { require.NoError(t, os.Remove(ballast)) })
}

// fill writes a file until there is no space left.
func fill(t *testing.T, name string) {
	t.Helper()
	f, err := os.Create(name)
	require.NoError(t, err)
	defer f.Close()
	for block := make([]byte, 64<<10); len(block) > 0; {
		if _, err := f.Write(block); err != nil {
			require.ErrorIs(t, err, syscall.ENOSPC)
			block = block[:len(block)/2]
		}
	}
}

// fillAndDrain posts until the daemon refuses, with the backend away, makes matters worse, lets the
// backend come back, and counts.
func fillAndDrain(t *testing.T, b *backend, s settings, ids bool, worsen, relieve func()) {
	t.Helper()
	b.failReports(fault{Status: http.StatusServiceUnavailable, Times: 1 << 30})
	d := serve(t, s)
	kept, refusal := fillUp(d, ids)
	t.Logf("refused after %d events: %d, Retry-After %s, %s", kept, refusal.status, refusal.header.Get("Retry-After"), refusal.body)
	assert.Contains(t, []int{http.StatusTooManyRequests, http.StatusServiceUnavailable}, refusal.status)
	after, err := strconv.Atoi(refusal.header.Get("Retry-After"))
	assert.NoError(t, err, "Retry-After in seconds")
	assert.Positive(t, after)
	var ready answer
	eventually(t, 10*time.Second, "/readyz says that it cannot accept", func() bool {
		if d.offer(hit("1001", "app1")).status == http.StatusAccepted { // as a segment ended, there was room for one more
			kept++
		}
		ready, err = call(testClient, http.MethodGet, d.admin+"/readyz", "", nil)
		return err == nil && ready.status == http.StatusServiceUnavailable
	})
	t.Logf("/readyz: %s", ready.body)

	worsen()
	b.heal()
	d.flush()
	eventually(t, 60*time.Second, "draining goes on", func() bool { return d.status().Events.Pending == 0 })
	assert.Equal(t, kept, b.usage().counters().hits(), "what was acknowledged was counted")
	relieve()
	eventually(t, 20*time.Second, "there is room again", func() bool {
		return d.offer(hit("1001", "app1")).status == http.StatusAccepted
	})
	assert.EqualValues(t, kept+1, d.drained(20*time.Second).Events.Delivered)
	t.Logf("log:\n%s", troubles(d))
	d.stop()
}

// fillUp posts less and less until not even one event is taken.
func fillUp(d *daemon, ids bool) (kept uint64, refusal answer) {
	d.t.Helper()
	for r, size := 0, 500; size > 0; r++ {
		require.Less(d.t, kept, uint64(2_000_000), "it is never full")
		events := make([]event, size)
		for i := range events {
			events[i] = hit("1001", fmt.Sprintf("bulk%d", i%50+1))
			if ids {
				events[i].ID = fmt.Sprintf("an-id-of-some-length-%08d-%03d", r, i)
			}
		}
		got := d.offer(events...)
		if got.status == http.StatusAccepted {
			kept += uint64(size)
			continue
		}
		refusal = got
		size /= 2
	}
	return kept, refusal
}

// TestReadOnlyDirectory: a daemon that cannot write says so and exits, at once.
func TestReadOnlyDirectory(t *testing.T) {
	s := newSettings(t, unreachable)
	require.NoError(t, os.Mkdir(s.dataDir(), 0o555))
	config := s.write(t)
	cmd := command(t, "serve", "--config", config)
	if os.Geteuid() == 0 { // root may write anywhere: be somebody else
		require.NoError(t, os.Chmod(config, 0o644))
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		open(t, filepath.Dir(filepath.Dir(s.dataDir())))
	}
	p := start(t, cmd)
	assert.Equal(t, 1, p.exit(10*time.Second), "exit status")
	log := tail(p.logged(), 5)
	t.Logf("log:\n%s", log)
	assert.Contains(t, log, s.dataDir())
	assert.Regexp(t, "permission denied|read-only file system", log)
}

// open lets others pass through a directory of the test.
func open(t *testing.T, dir string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(name string, e os.DirEntry, err error) error {
		if err != nil || !e.IsDir() || name == dir {
			return err
		}
		return os.Chmod(name, 0o755)
	}))
	require.NoError(t, os.Chmod(dir, 0o755))
}

// TestSecondDaemon: two daemons never share a data directory; the second names the first.
func TestSecondDaemon(t *testing.T) {
	b := sandbox(t)
	s := newSettings(t, b.url)
	first := serve(t, s)
	second := reporterd(t, "serve", "--config", s.write(t))
	assert.Equal(t, 1, second.exit(10*time.Second), "exit status")
	log := tail(second.logged(), 5)
	t.Logf("log:\n%s", log)
	assert.Contains(t, log, s.dataDir())
	assert.Contains(t, log, strconv.Itoa(first.cmd.Process.Pid), "the pid of the first")
	first.send(hit("1001", "app1"))
	assert.EqualValues(t, 1, first.drained(10*time.Second).Events.Delivered, "the first is unharmed")
}

// TestPermissions: nobody else may read usage.
func TestPermissions(t *testing.T) {
	s := newSettings(t, sandbox(t).url)
	d := serve(t, s)
	d.send(hit("1001", "app1"))
	d.drained(10 * time.Second)
	require.NoError(t, filepath.WalkDir(s.dataDir(), func(name string, e os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := e.Info()
		require.NoError(t, err)
		want := os.FileMode(0o600)
		if e.IsDir() {
			want = 0o700
		}
		assert.Equal(t, want, info.Mode().Perm(), name)
		return nil
	}))
}
