package test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestNewApplication: an application is created after its first events, while listener and worker of the
// backend remember that it does not exist. All its events are counted, and none of anybody else's is lost.
func TestNewApplication(t *testing.T) {
	t.Parallel() // it waits more than it works
	p := reporterd(t, "sandbox", "--listen", "127.0.0.1:0", "--negative-cache", "3s")
	b := &backend{process: p, url: "http://" + p.await("sandbox")}
	d := serve(t, newSettings(t, b.url).set("sender.negative_cache", "3s"))
	const events = 40
	for i := range events {
		d.send(hit("1001", "app2"), hit("1001", "brand-new"))
		if i == events/4 {
			mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", map[string]any{"service_id": "1001", "app_id": "brand-new"})
		}
		pause(t.Context(), 100*time.Millisecond)
	}
	begun := time.Now()
	st := d.drained(30 * time.Second)
	c := b.calls()
	t.Logf("%d events counted %v after the last; %d questions, %d batches discarded", st.Events.Delivered, time.Since(begun).Round(10*time.Millisecond), c.Authorize, c.DiscardedBatches)
	assert.Equal(t, usage{"1001": {"app2": {"hits": events}, "brand-new": {"hits": events}}}.counters(), b.usage().counters())
	assert.Zero(t, st.Events.Dead)
	assert.Zero(t, c.DiscardedBatches)
}

// TestRestartIsNoStampede: what was proven is known to the next process.
func TestRestartIsNoStampede(t *testing.T) {
	const applications = 400
	b := sandbox(t)
	b.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
	s := newSettings(t, b.url)
	d := serve(t, s)
	all := make([]event, applications)
	for i := range all {
		all[i] = hit("1001", application(i))
	}
	d.send(all...)
	d.drained(30 * time.Second)
	first := b.calls().Authorize
	d.stop()
	d = serve(t, s)
	d.send(all...)
	d.drained(30 * time.Second)
	again := b.calls().Authorize - first
	t.Logf("%d questions for %d applications, %d after a restart", first, applications, again)
	assert.EqualValues(t, applications, first, "the metric is asked about together with the first one")
	assert.LessOrEqual(t, again, uint64(1), "one for 3scale's clock")
}

// TestParkedBatchesSurviveAKill: a report whose outcome nobody saw is kept, not sent again, also when the
// daemon was killed while it waited for the answer.
func TestParkedBatchesSurviveAKill(t *testing.T) {
	t.Parallel()
	for _, killed := range []bool{false, true} {
		t.Run(fmt.Sprintf("killed=%v", killed), func(t *testing.T) {
			b := sandbox(t)
			s := newSettings(t, b.url).set("sender.on_ambiguous", "park").set("backend.timeout", "1s").set("batch.flush_interval", "1h")
			d := serve(t, s)
			d.send(hit("1001", "app2"))
			d.drained(20 * time.Second)
			b.failReports(fault{Status: 504, Delay: "1h", Times: 1, Landed: true})
			d.send(hit("1001", "app2"), hit("1001", "app2"))
			if killed {
				d.attempted(func() bool { return b.usage().counters().hits() == 3 })
			} else {
				d.flush()
			}
			d.kill()
			d = serve(t, s)
			d.send(hit("1001", "bulk1"))
			d.flush()
			eventually(t, 20*time.Second, "the others are delivered", func() bool { return d.status().Events.Delivered == 2 })
			st := d.status()
			assert.EqualValues(t, 2, st.Events.Pending)
			assert.EqualValues(t, 2, st.Events.Ambiguous)
			assert.Contains(t, metrics(d), "reporterd_parked_batches 1\n")
			assert.Contains(t, metrics(d), "reporterd_parked_events 2\n")
			assert.EqualValues(t, 4, b.usage().counters().hits(), "nothing is counted twice")

			list := read[struct {
				Parked []struct {
					ID                  string
					Attempts, Ambiguous int
					LastAttempt         time.Time `json:"last_attempt"`
					Transactions        []struct {
						AppID string `json:"app_id"`
						Usage map[string]uint64
					}
				}
			}](t, mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/parked", nil)).Parked
			require.Len(t, list, 1)
			assert.Equal(t, []int{1, 1}, []int{list[0].Attempts, list[0].Ambiguous})
			assert.WithinDuration(t, time.Now(), list[0].LastAttempt, time.Minute)
			require.Len(t, list[0].Transactions, 1)
			assert.Equal(t, map[string]uint64{"hits": 2}, list[0].Transactions[0].Usage)
			mustCall(t, http.StatusNotFound, http.MethodPost, d.admin+"/api/v1/parked/000000000099-0000/counted", nil)
			mustCall(t, http.StatusOK, http.MethodPost, d.admin+"/api/v1/parked/"+list[0].ID+"/counted", nil)
			assert.Zero(t, d.status().Events.Pending)
			assert.EqualValues(t, 4, b.usage().counters().hits())
		})
	}
}
