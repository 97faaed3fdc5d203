package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestFailedReports crosses the ways a report can fail with whether it was counted all the same, and
// with a restart before it is tried again. What cannot have been counted is counted once in the end;
// what may have been is counted at most once more, and only after it was called ambiguous.
func TestFailedReports(t *testing.T) {
	t.Parallel() // it waits more than it works
	const events = 3
	b := sandbox(t)
	for _, c := range []struct {
		name      string
		fault     fault
		counted   uint64 // in the end, times the events
		ambiguous bool
	}{
		{"503, not counted", fault{Status: 503, Times: 1}, 1, false},
		{"429, not counted", fault{Status: 429, Times: 1}, 1, false},
		{"500, not counted", fault{Status: 500, Times: 1}, 1, true},
		{"500, but it had landed", fault{Status: 500, Times: 1, Landed: true}, 2, true},
		{"closed, not counted", fault{Close: true, Times: 1}, 1, true},
		{"closed, but it had landed", fault{Close: true, Times: 1, Landed: true}, 2, true},
		{"timed out, not counted", fault{Status: 504, Delay: "3s", Times: 1}, 1, true},
		{"timed out, but it had landed", fault{Delay: "3s", Times: 1, Landed: true}, 2, true},
	} {
		for _, restart := range []bool{false, true} {
			name := c.name
			if restart {
				name += ", and the daemon was killed after it"
			}
			t.Run(name, func(t *testing.T) {
				mustCall(t, http.StatusOK, http.MethodPost, b.url+"/sandbox/reset", nil)
				b.failReports(c.fault)
				s := newSettings(t, b.url).set("batch.flush_interval", "1h").set("backend.timeout", "1s")
				d := serve(t, s)
				d.send(hit("1001", "app1"), hit("1001", "app1"), hit("1001", "app2"))
				d.flush()
				if restart {
					d.kill()
					d = serve(t, s)
				}
				st := d.drained(30 * time.Second)
				unknown := st.Events.Ambiguous / events // reports whose outcome nobody saw
				if c.ambiguous {
					assert.NotZero(t, unknown, "ambiguous")
					unknown--
				}
				// The report may have been under way once more when the daemon was killed: that is unknown, too.
				assert.True(t, unknown == 0 || restart && unknown == 1, "%d events ambiguous", st.Events.Ambiguous)
				counted := b.usage().counters().hits()
				assert.True(t, counted == events*c.counted || counted == events*(c.counted+unknown), "%d counted", counted)
				assert.Equal(t, uint64(events), st.Events.Delivered, "delivered")
			})
		}
	}
}

// TestDeadLetters: what the backend will never take is kept as a file, counted, and holds nobody up.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	stale := hit("1001", "app1")
	stale.Timestamp = time.Now().Add(-25 * time.Hour).Unix()
	assert.Equal(t, http.StatusUnprocessableEntity, d.offer(hit("1001", "app1"), stale).status, "all or nothing")
	assert.Zero(t, d.status().Events.Accepted)
	d.send(hit("1001", "app1"), event{ServiceID: "1001", AppID: "app2", Usage: map[string]uint64{"hits": 0}})
	s := d.drained(20 * time.Second)
	assert.EqualValues(t, 2, s.Events.Delivered, "nothing to report counts as delivered")
	assert.Equal(t, usage{"1001": {"app1": {"hits": 1}}}.counters(), b.usage().counters())
}

// TestHeldLane: a service whose token the backend refuses keeps its events and disturbs no other.
func TestHeldLane(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	s := newSettings(t, b.url).set("services", []any{
		map[string]any{"id": "1001", "token": "wrong-token-of-1001"},
		map[string]any{"id": "1002", "token": "stoken1002"},
	})
	d := serve(t, s)
	d.send(hit("1001", "app1"), event{ServiceID: "1002", UserKey: "ukey1", Usage: map[string]uint64{"hits": 1}})
	d.flush()
	eventually(t, 20*time.Second, "the good service is delivered, the other held", func() bool {
		st := d.status()
		states := map[string]string{}
		for _, lane := range st.Lanes {
			states[lane.ServiceID] = lane.State
		}
		return st.Events.Delivered == 1 && st.Events.Pending == 1 && states["1001"] == "held"
	})
	for _, line := range d.logged() {
		require.NotContains(t, line, "wrong-token-of-1001", "a token in the log")
	}
	d.kill()
	d = serve(t, s.set("services", sandboxServices()))
	assert.EqualValues(t, 2, d.drained(20*time.Second).Events.Delivered, "with the right token")
}
