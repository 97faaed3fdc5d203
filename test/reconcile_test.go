package test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// comparedCell is a line of reconcile --output json, as far as tests look at it.
type comparedCell struct {
	ServiceID string `json:"service_id"`
	AppID     string `json:"app_id"`
	Metric    string
	Delivered int64
	Ambiguous int64
	Counted   int64
	Delta     int64
	Verdict   string
	Final     bool
	Evidence  []struct{ Batch, Fate string }
}

// compared runs reconcile and returns what it prints, a line for each cell: application, verdict, delta, batches.
func compared(t *testing.T, config string, words ...string) (status int, lines []string) {
	t.Helper()
	p := reporterd(t, append([]string{"reconcile", "--config", config, "--output", "json"}, words...)...)
	status = p.exit(20 * time.Second)
	for line := range strings.Lines(p.printed()) {
		var c comparedCell
		if json.Unmarshal([]byte(line), &c) != nil || c.Verdict == "" {
			continue
		}
		said := fmt.Sprintf("%s %s %+d", c.AppID, c.Verdict, c.Delta)
		for _, e := range c.Evidence {
			said += " " + e.Batch + " " + e.Fate
		}
		assert.True(t, c.Final, "%+v", c)
		lines = append(lines, said)
	}
	return status, lines
}

// TestReconcile: one batch is taken and silently dropped, one report failed although it had landed, one failed and had
// not. Each is found, with its batch and the right verdict, and nothing else; what is parked is decided about once.
func TestReconcile(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	s := newSettings(t, b.url).set("sender.on_ambiguous", "park").set("batch.flush_interval", "1h").set("backend.timeout", "1s").
		set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).
		set("reconcile.exclusive", true).set("reconcile.seal", "1m").set("reconcile.every", "0s")
	config := s.write(t)
	d := launch(t, config)
	d.ready()
	at := time.Now().Add(-3 * time.Hour).Unix()
	parked := 0
	report := func(app string, hits uint64, how *fault) {
		if how != nil {
			b.failReports(*how)
		}
		d.send(event{ServiceID: "1001", AppID: app, Usage: map[string]uint64{"hits": hits}, Timestamp: at})
		d.flush()
		if how != nil && how.Status == 500 { // the lane may be in its backoff after the one before
			parked++
			eventually(t, 20*time.Second, "it is parked", func() bool {
				return strings.Contains(metrics(d), fmt.Sprintf("\nreporterd_parked_batches %d\n", parked))
			})
		}
		b.heal()
	}
	report("app1", 5, nil)
	report("app2", 3, nil)
	report("app1", 7, &fault{Status: 202, Times: 1})                // 000000000003-0000: taken, and dropped
	report("app2", 11, &fault{Status: 500, Times: 1, Landed: true}) // 000000000004-0000: failed, but it had landed
	report("bulk1", 13, &fault{Status: 500, Times: 1})              // 000000000005-0000: failed, and it had not
	eventually(t, 10*time.Second, "what landed is counted", func() bool { return b.usage().counters().hits() == 5+3+11 })
	d.booked()

	status, lines := compared(t, config)
	assert.Equal(t, 3, status)
	assert.ElementsMatch(t, []string{
		"app1 short -7 000000000003-0000 dropped",
		"app2 match +11 000000000004-0000 landed",
		"bulk1 match +0 000000000005-0000 not landed",
	}, lines)

	assert.Contains(t, strings.Join(d.logged(), "\n"), "3scale did not count what it accepted", "the proofs of what was dropped end")

	// Asked before it acts: no is no.
	p := reporterd(t, "reconcile", "--config", config, "--resolve")
	assert.Equal(t, 3, p.exit(20*time.Second))
	assert.Contains(t, p.printed(), "0 parked reports decided about, 2 left")

	p = reporterd(t, "reconcile", "--config", config, "--resolve", "--yes")
	assert.Equal(t, 3, p.exit(20*time.Second))
	assert.Contains(t, p.printed(), "2 parked reports decided about, 0 left")
	d.drained(10 * time.Second)
	eventually(t, 10*time.Second, "what was sent again is counted", func() bool { return b.usage().counters().hits() == 5+3+11+13 })
	d.booked()
	p = reporterd(t, "reconcile", "--config", config, "--resolve", "--yes")
	assert.Equal(t, 3, p.exit(20*time.Second))
	assert.Contains(t, p.printed(), "0 parked reports decided about, 0 left")
	status, lines = compared(t, config)
	assert.Equal(t, 3, status)
	assert.Contains(t, lines, "app1 short -7 000000000003-0000 dropped")
	for _, line := range lines {
		assert.False(t, strings.Contains(line, "over") || strings.Contains(line, "unverifiable"), line)
	}
	assert.Equal(t, uint64(5+3+11+13), b.usage().counters().hits(), "nothing was sent twice")

	status, _ = compared(t, config, "--service", "9999")
	assert.Equal(t, 2, status, "a service that neither side has is wrong usage")

	// Without a daemon the ledger is read where it lies.
	d.stop()
	status, _ = compared(t, config, "--service", "9999")
	assert.Equal(t, 2, status)
	status, offline := compared(t, config)
	assert.Equal(t, 3, status)
	assert.ElementsMatch(t, []string{
		"app1 short -7 000000000003-0000 dropped",
		"app2 match +0 000000000004-0000 once",
		"bulk1 match +0 000000000005-0000 once",
	}, offline)
}

// TestReconcileWitness: others' usage makes up for a batch that was dropped, and imitates a report that did not land. The
// witness metric shows both; what it agrees about is verified, although more is counted.
func TestReconcileWitness(t *testing.T) {
	t.Parallel() // it waits more than it works
	b := sandbox(t)
	s := newSettings(t, b.url).set("sender.on_ambiguous", "park").set("batch.flush_interval", "1h").
		set("portal.url", b.url).set("portal.access_token", "atoken").set("portal.per_second", 100).
		set("reconcile.witness", "transfer").set("reconcile.seal", "1m").set("reconcile.every", "0s")
	config := s.write(t)
	d := launch(t, config)
	d.ready()
	eventually(t, 20*time.Second, "the catalogue is read", func() bool {
		return strings.Contains(mustCall(t, http.StatusOK, "GET", d.admin+"/admin/api/services.json", nil).body, `"name":"Orders"`)
	})
	at := time.Now().Add(-3 * time.Hour).Unix()
	report := func(app string, hits int, how *fault) {
		if how != nil {
			b.failReports(*how)
		}
		d.send(slices.Repeat([]event{{ServiceID: "1001", AppID: app, Usage: map[string]uint64{"hits": 1}, Timestamp: at}}, hits)...)
		d.flush()
		if how != nil && how.Status == 500 {
			eventually(t, 20*time.Second, "it is parked", func() bool { return strings.Contains(metrics(d), "\nreporterd_parked_batches 1\n") })
		}
		b.heal()
	}
	report("app1", 5, nil)
	report("app2", 3, nil)
	report("app1", 7, &fault{Status: 202, Times: 1})  // taken, and dropped
	report("bulk1", 4, &fault{Status: 500, Times: 1}) // failed, and it had not landed
	for app, hits := range map[string]string{"app1": "7", "app2": "2", "bulk1": "4"} {
		answer, err := http.PostForm(b.url+"/transactions.xml", url.Values{
			"service_token": {"stoken1001"}, "service_id": {"1001"}, "transactions[0][app_id]": {app}, "transactions[0][usage][hits]": {hits},
			"transactions[0][timestamp]": {fmt.Sprint(at)},
		})
		if assert.NoError(t, err) {
			_ = answer.Body.Close()
			assert.Equal(t, http.StatusAccepted, answer.StatusCode)
		}
	}
	eventually(t, 10*time.Second, "all is counted", func() bool { return b.usage().counters().hits() == 5+3+7+2+4 })
	d.booked()

	status, lines := compared(t, config)
	assert.Equal(t, 3, status)
	dropped, not := "000000000015-0000 dropped", "000000000019-0000 not landed" // a cut is named by its last event
	assert.ElementsMatch(t, []string{
		"app1 short +0 " + dropped, "app1 short -7 " + dropped, // its hits look fine, and its witness tells
		"app2 match +2", "app2 match +0",
		"bulk1 match +4 " + not, "bulk1 match +0 " + not,
	}, lines)
}
