package test

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	damageRequests = 60
	damageEvents   = 10 // a request: together one application's
)

// acknowledgedAndKilled leaves a data directory behind with events that were acknowledged and never
// delivered: in the journal, or sealed in batches.
func acknowledgedAndKilled(t *testing.T, s settings, sealed bool) {
	t.Helper()
	d := serve(t, s)
	for r := range damageRequests {
		events := make([]event, damageEvents)
		for i := range events {
			events[i] = hit("1001", fmt.Sprintf("bulk%d", r%50+1))
		}
		d.send(events...)
		if sealed && r%20 == 19 {
			d.flush()
		}
	}
	d.kill()
}

// unreachable is a backend nobody listens for.
const unreachable = "http://127.0.0.1:1"

// TestDamage damages the files of a killed daemon. It starts all the same, says what it found, counts
// what was lost, and delivers everything else.
func TestDamage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		sealed bool
		damage func(t *testing.T, dir string)
		lost   bool // how much is missing is known
		parked bool // what may have been delivered is not sent before an operator decides
	}{
		{"a flipped bit in the journal", false, func(t *testing.T, dir string) { flip(t, dir, "journal", "bulk25") }, true, false},
		{"a flipped bit in a sealed batch", true, func(t *testing.T, dir string) { flip(t, dir, "batches", "bulk25") }, true, false},
		{"a truncated journal segment", false, func(t *testing.T, dir string) { truncate(t, dir, "journal") }, true, false},
		{"a truncated batch segment", true, func(t *testing.T, dir string) { truncate(t, dir, "batches") }, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := sandbox(t)
			s := newSettings(t, unreachable).set("batch.flush_interval", "1h")
			acknowledgedAndKilled(t, s, c.sealed)
			c.damage(t, s.dataDir())
			d := serve(t, s.set("backend.url", b.url))
			if c.parked {
				resendParked(t, d)
			}
			st := d.drained(20 * time.Second)
			t.Logf("%d acknowledged; status %+v", damageRequests*damageEvents, st.Events)
			t.Logf("log:\n%s", troubles(d))
			assert.Equal(t, st.Events.Delivered, b.usage().counters().hits(), "what is called delivered was counted")
			assert.LessOrEqual(t, st.Events.Delivered+st.Events.Lost, uint64(damageRequests*damageEvents))
			assert.Positive(t, st.Events.Delivered, "what was not hit is delivered")
			if c.lost {
				assert.Positive(t, st.Events.Lost, "what was hit is counted")
				assert.EqualValues(t, damageRequests*damageEvents, st.Events.Accepted)
			}
			if strings.HasPrefix(c.name, "a flipped bit") {
				assert.NotEmpty(t, filesIn(t, s.dataDir(), "quarantine"), "and set aside")
			} else {
				assert.Contains(t, troubles(d), "short", "a file that was shortened is not taken for one that was being written")
			}
			assert.NotEmpty(t, troubles(d), "the log says it")
			d.stop()
			d = serve(t, s)
			assert.Equal(t, st.Events, d.status().Events, "the figures survive a restart")
		})
	}
}

// resendParked expects that usage is parked, that a flush does not wait for it, and that none of it was sent; then it has all of
// it sent.
func resendParked(t *testing.T, d *daemon) {
	t.Helper()
	d.flush()
	require.Positive(t, d.status().Events.Pending, "what may have been delivered is kept")
	for range damageRequests * damageEvents {
		page := read[struct{ Parked []struct{ ID string } }](t, mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/parked", nil))
		if len(page.Parked) == 0 {
			return
		}
		for _, p := range page.Parked {
			mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/parked/"+p.ID+"/resend", nil)
		}
	}
}

// troubles are the lines of the log above info.
func troubles(d *daemon) string {
	var all []string
	for _, line := range d.logged() {
		if strings.Contains(line, `"level":"warn"`) || strings.Contains(line, `"level":"error"`) {
			all = append(all, line)
		}
	}
	return strings.Join(all, "\n")
}

// filesIn returns the files in one room of the data directory, in order.
func filesIn(t *testing.T, dataDir, room string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dataDir, room, "*"))
	require.NoError(t, err)
	return names
}

// flip changes one bit of a word that an event carries, in the first file that has it: the rest still
// parses, and only a checksum can tell.
func flip(t *testing.T, dataDir, room, word string) {
	t.Helper()
	for _, name := range filesIn(t, dataDir, room) {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		at := bytes.Index(content, []byte(word))
		if at < 0 {
			continue
		}
		content[at+len(word)-1] ^= 1
		require.NoError(t, os.WriteFile(name, content, 0o600))
		return
	}
	t.Fatalf("nothing in %s of %s names %s", room, dataDir, word)
}

// truncate cuts the first file that holds anything to half of what is written in it.
func truncate(t *testing.T, dataDir, room string) {
	t.Helper()
	for _, name := range filesIn(t, dataDir, room) {
		content, err := os.ReadFile(name)
		require.NoError(t, err)
		if written := len(bytes.TrimRight(content, "\x00")); written > 1024 {
			require.NoError(t, os.Truncate(name, int64(written/2)))
			return
		}
	}
	t.Fatalf("nothing is written in %s of %s", room, dataDir)
}
