package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	// upgradeVariable turns on the test that builds an older version; its value is the commit, or 1 for formerVersion.
	upgradeVariable = "REPORTERD_UPGRADE"
	// formerVersion is the last one before the ledger: its data directory knows nothing of accounts.
	formerVersion = "53dc03f"
)

// former builds an older version out of the history.
func former(t *testing.T) string {
	t.Helper()
	commit := os.Getenv(upgradeVariable)
	if commit == "" {
		t.Skipf("builds an older version: %s=1, or a commit", upgradeVariable)
	}
	if commit == "1" {
		commit = formerVersion
	}
	dir := t.TempDir()
	out, err := exec.Command("sh", "-c", `git -C .. archive "$1" | tar -x -C "$2"`, "sh", commit, dir).CombinedOutput()
	if _, e := os.Stat(filepath.Join(dir, "go.mod")); err != nil || e != nil {
		t.Skipf("!! SKIPPED: this clone has no commit %s: %s", commit, out)
	}
	cmd := exec.Command("go", "build", "-o", filepath.Join(dir, "reporterd"), "./cmd/reporterd")
	cmd.Dir = dir
	out, err = cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return filepath.Join(dir, "reporterd")
}

// with runs a program other than the one under test on a configuration.
func (s settings) with(t *testing.T, program, file string) *daemon {
	t.Helper()
	cmd := exec.Command(program, "serve", "--config", file)
	cmd.Env = []string{"HOME=" + os.TempDir(), "PATH=" + os.Getenv("PATH")}
	d := &daemon{process: start(t, cmd)}
	otherVersions.Store(d.await("admin"), true)
	d.ready()
	return d
}

// inEveryState leaves usage behind in every state that a directory can have, and returns how many events.
func inEveryState(t *testing.T, d *daemon, b *backend) (accepted uint64) {
	t.Helper()
	send := func(events ...event) {
		d.send(events...)
		accepted += uint64(len(events))
	}
	d.send(hit("1001", "app2"), hit("1001", "bulk1"), hit("1001", "ghost")) // the last one is nobody's
	d.flush()
	accepted += 3
	eventually(t, 20*time.Second, "two are delivered, one is dead", func() bool { e := d.status().Events; return e.Delivered == 2 && e.Dead == 1 })
	held := map[string]any{"status": 403, "service_id": "1003", "code": "service_token_invalid"}
	lost := map[string]any{"status": 500, "service_id": "1004", "landed": true}
	fail := func(kinds map[string]any) {
		mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", kinds)
	}
	fail(map[string]any{"report": []any{held, lost}})
	send(hit("1003", "appoauth"), hit("1004", "appref"))
	d.flush()
	eventually(t, 20*time.Second, "one is held, one parked", func() bool {
		page := read[struct{ Parked []any }](t, mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/parked", nil))
		return len(page.Parked) == 1 && slices.ContainsFunc(d.status().Lanes, func(l lane) bool { return l.State == "held" })
	})
	away := map[string]any{"status": 503}
	fail(map[string]any{"report": []any{held, lost, away}, "authorize": away})
	remembered := hit("1001", "app2")
	remembered.ID = "seen before"
	send(remembered, hit("1001", "bulk2"), hit("1005", "nobody")) // the first is retried, the others are on probation
	d.flush()
	for i := range 20 { // not cut yet
		send(hit("1001", fmt.Sprintf("bulk%d", i+1)))
	}
	return accepted
}

// TestUpgrade: an older version is killed with usage in every state; this one goes on where it was. It leaves usage
// behind in every state in turn, and the older one goes on from that.
func TestUpgrade(t *testing.T) {
	old := former(t)
	for name, programs := range map[string][2]string{"up": {old, binary(t)}, "down": {binary(t), old}} {
		t.Run(name, func(t *testing.T) {
			b := sandbox(t)
			s := newSettings(t, b.url).set("batch.flush_interval", "1h").set("sender.on_ambiguous", "park").
				set("sender.negative_cache", "1s").set("backend.timeout", "2s")
			file := s.write(t)
			before := s.with(t, programs[0], file)
			accepted := inEveryState(t, before, b)
			was := before.status()
			require.Equal(t, accepted, was.Events.Accepted)
			before.kill()

			after := s.with(t, programs[1], file)
			is := after.status()
			t.Logf("before %+v, after %+v", was.Events, is.Events)
			assert.Equal(t, was.Events.Accepted, is.Events.Accepted)
			assert.Equal(t, was.Events.Pending, is.Events.Pending)
			assert.Equal(t, was.Events.Delivered, is.Events.Delivered)
			assert.Zero(t, is.Events.Lost)
			assert.Empty(t, filesIn(t, s.dataDir(), "quarantine"), "everything is understood")
			assert.Len(t, after.deadLetters(), 1)
			again := hit("1001", "app2")
			again.ID = "seen before"
			assert.Contains(t, after.offer(again).body, `"duplicates":1`, "ids are remembered")

			b.heal()
			mustCall(t, http.StatusOK, http.MethodPost, after.admin+"/-/reload", nil)
			page := read[struct{ Parked []struct{ ID string } }](t, mustCall(t, http.StatusOK, http.MethodGet, after.admin+"/api/v1/parked", nil))
			for _, p := range page.Parked { // those of a killed attempt, too
				mustCall(t, http.StatusOK, http.MethodPost, after.admin+"/api/v1/parked/"+p.ID+"/counted", nil)
			}
			end := after.drained(60 * time.Second)
			assert.Zero(t, end.Events.Lost)
			assert.Equal(t, accepted, end.Events.Delivered+end.Events.Dead)
			assert.EqualValues(t, 2, end.Events.Dead, "the two that nobody knows")
			after.stop()

			last := serve(t, s.set("backend.url", b.url)) // this version: behind itself, or once more after the older one
			assert.Equal(t, end.Events, last.status().Events, "an older version in between is no damage")
			assert.Empty(t, filesIn(t, s.dataDir(), "quarantine"))
			last.stop()
		})
	}
}
