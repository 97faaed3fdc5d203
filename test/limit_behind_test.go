package test

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// stopWorker lets the sandbox take reports and count none until heal.
func (b *backend) stopWorker() {
	b.t.Helper()
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", map[string]any{"worker": map[string]any{"stop": true}})
}

// savedAfter waits until the daemon saved what it knows of authorizations after a moment.
func savedAfter(t *testing.T, dir string, moment time.Time) {
	t.Helper()
	eventually(t, 40*time.Second, "authorizations are saved", func() bool {
		info, err := os.Stat(filepath.Join(dir, "authorizations"))
		return err == nil && info.ModTime().After(moment)
	})
}

// TestLimitWhileTheWorkerIsBehind: the backend's worker counts nothing, and the daemon is killed and stopped meanwhile: what it
// delivered keeps counting, also what was delivered after it saved its account last, so that a limit of 100 grants 100.
func TestLimitWhileTheWorkerIsBehind(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	b.limited("behind", limit{"hits", "eternity", 100})
	s := newSettings(t, b.url).set("batch.flush_interval", "20ms").set("authorize.ttl", "100ms").set("authorize.deny_ttl", "100ms")
	granted := 0
	use := func(d *daemon, n int) {
		for range n {
			if d.authrep(testClient, "behind", "search") == http.StatusOK {
				granted++
			}
		}
		d.drained(10 * time.Second)
	}
	d := serve(t, s)
	b.stopWorker()
	use(d, 30)
	savedAfter(t, s.dataDir(), time.Now())
	use(d, 20)
	d.kill()
	d = serve(t, s)
	use(d, 20)
	d.stop()
	d = serve(t, s)
	use(d, 100)
	assert.Equal(t, 100, granted)
	b.heal()
	eventually(t, 10*time.Second, "all is counted", func() bool { return b.usage()["1001"]["behind"]["hits"] == 100 })
	d.kill()
}

// TestKilledWhileTheBackendIsAway: applications that were known before a kill -9 are answered after it, without the backend.
func TestKilledWhileTheBackendIsAway(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	s := newSettings(t, b.url)
	d := serve(t, s)
	for i := range 20 {
		app := fmt.Sprint("warm", i)
		b.limited(app, limit{"hits", "day", 10})
		require.Equal(t, http.StatusOK, d.authrep(testClient, app, "hits"))
	}
	savedAfter(t, s.dataDir(), time.Now())
	b.kill()
	d.kill()
	d = serve(t, s)
	for i := range 20 {
		granted := 0
		for range 12 {
			if d.authrep(testClient, fmt.Sprint("warm", i), "hits") == http.StatusOK {
				granted++
			}
		}
		assert.Equal(t, 9, granted, "within the limit")
	}
	d.kill()
}
