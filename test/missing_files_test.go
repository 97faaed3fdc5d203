package test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	earlierEvents = 300 // delivered before the files went
	laterEvents   = 200 // acknowledged and not delivered when they went
)

// TestMissingFiles removes, overwrites, copies and restores files of a daemon that was killed. Whatever it was, the next start
// counts each event once: delivered, pending until an operator decides, or lost and named; and the backend counts nothing twice.
func TestMissingFiles(t *testing.T) {
	for _, c := range []struct {
		name   string
		sealed bool // what is not delivered is in batches, else in the journal
		damage func(t *testing.T, dir string)
		lost   uint64 // exactly; anyNumber: some
		says   string // a warning or an error of the start
	}{
		{"the newest journal segment is missing", false, func(t *testing.T, dir string) { require.NoError(t, os.Remove(newestSegment(t, dir, "journal"))) }, laterEvents, "are missing"},
		{"the second half of the newest journal segment is zeroed", false, func(t *testing.T, dir string) { zeroed(t, newestSegment(t, dir, "journal"), 0.5) }, anyNumber, "are missing"},
		{"the last bytes of the newest journal segment are zeroed", false, func(t *testing.T, dir string) { zeroed(t, newestSegment(t, dir, "journal"), 0.97) }, anyNumber, "are missing"},
		{"all batches are missing", true, func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(filepath.Join(dir, "batches"))) }, anyNumber, "are missing"},
		{"the batch log lost its end", true, func(t *testing.T, dir string) { zeroed(t, newestSegment(t, dir, "batches"), 0.9) }, anyNumber, "are missing"},
		{"a journal segment is copied to a later name", false, copiedToALaterName, 0, "a copy of"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := sandbox(t)
			s := newSettings(t, b.url)
			deliveredAndPending(t, s, c.sealed)
			c.damage(t, s.dataDir())
			d := serve(t, s.set("backend.url", b.url).set("batch.flush_interval", "100ms"))
			d.flush()
			eventually(t, 20*time.Second, "what can be delivered is", func() bool { return !d.sending() })
			got := d.status().Events
			t.Logf("%+v; log:\n%s", got, troubles(d))
			assert.EqualValues(t, earlierEvents+laterEvents, got.Accepted)
			switch c.lost {
			case anyNumber:
				assert.Positive(t, got.Lost+got.Pending, "what is not there is lost, or kept")
			default:
				assert.Equal(t, c.lost, got.Lost)
			}
			counted := b.usage().counters().hits()
			assert.LessOrEqual(t, counted, uint64(earlierEvents+laterEvents)-got.Lost-got.Pending, "nothing is counted twice")
			assert.GreaterOrEqual(t, counted, uint64(earlierEvents))
			assert.Contains(t, troubles(d), c.says)
		})
	}
}

// anyNumber stands for a number that depends on where in a file the damage is.
const anyNumber = ^uint64(0)

// TestBackupRestored starts a copy of the data directory that was made before its usage was delivered. None of it is sent
// again, the log says so, and an operator finds it parked.
func TestBackupRestored(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	s := newSettings(t, b.url)
	deliveredAndPending(t, s, true)
	backup := t.TempDir()
	require.NoError(t, os.CopyFS(backup, os.DirFS(s.dataDir())))
	d := serve(t, s.set("backend.url", b.url))
	d.drained(20 * time.Second)
	d.stop()
	require.EqualValues(t, earlierEvents+laterEvents, b.usage().counters().hits())

	require.NoError(t, os.RemoveAll(s.dataDir()))
	require.NoError(t, os.CopyFS(s.dataDir(), os.DirFS(backup)))
	d = serve(t, s)
	d.flush()
	eventually(t, 20*time.Second, "what can be delivered is", func() bool { return !d.sending() })
	assert.EqualValues(t, earlierEvents+laterEvents, b.usage().counters().hits(), "nothing is sent again")
	assert.EqualValues(t, laterEvents, d.status().Events.Pending)
	assert.Contains(t, troubles(d), "copy")
}

// deliveredAndPending leaves the directory of a killed daemon behind: with events that were delivered, and events that were not
// because the backend was away.
func deliveredAndPending(t *testing.T, s settings, sealed bool) {
	t.Helper()
	d := serve(t, s)
	some := func(n int) {
		for i := range n / damageEvents {
			events := make([]event, damageEvents)
			for k := range events {
				events[k] = hit("1001", fmt.Sprintf("bulk%d", i%50+1))
			}
			d.send(events...)
		}
	}
	some(earlierEvents)
	d.drained(20 * time.Second)
	d.stop()
	s = s.set("backend.url", unreachable)
	if !sealed {
		s = s.set("batch.flush_interval", "1h")
	}
	d = serve(t, s)
	some(laterEvents)
	if sealed {
		d.flush()
	}
	d.kill()
}

// sending reports whether a lane has usage that is not parked.
func (d *daemon) sending() bool {
	d.t.Helper()
	for _, l := range d.status().Lanes {
		if l.State != "parked" && l.Events > 0 {
			return true
		}
	}
	return false
}

// newestSegment names the last segment of a log in which something is written.
func newestSegment(t *testing.T, dataDir, log string) (newest string) {
	t.Helper()
	for _, name := range filesIn(t, dataDir, log) {
		if strings.HasSuffix(name, ".seg") {
			newest = name
		}
	}
	require.NotEmpty(t, newest)
	return newest
}

// zeroed overwrites what is written in a file behind a share of it.
func zeroed(t *testing.T, name string, from float64) {
	t.Helper()
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	written := len(bytes.TrimRight(content, "\x00"))
	clear(content[int(from*float64(written)):])
	require.NoError(t, os.WriteFile(name, content, 0o600))
}

// copiedToALaterName copies the newest segment of the journal to a name with a higher number.
func copiedToALaterName(t *testing.T, dir string) {
	t.Helper()
	name := newestSegment(t, dir, "journal")
	content, err := os.ReadFile(name)
	require.NoError(t, err)
	var first uint64
	_, err = fmt.Sscanf(filepath.Base(name), "%020d-0000.seg", &first)
	require.NoError(t, err)
	later := filepath.Join(filepath.Dir(name), fmt.Sprintf("%020d-0000.seg", first+5000))
	require.NoError(t, os.WriteFile(later, content, 0o600))
}
