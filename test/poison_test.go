package test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// deadLetter is one dead letter, as far as tests look at it.
type deadLetter struct {
	AppID  string `json:"app_id"`
	Events int
	Reason struct{ Code, Message string }
}

// deadLetters lists all of them.
func (d *daemon) deadLetters() (all []deadLetter) {
	d.t.Helper()
	for cursor := ""; ; {
		got := read[struct {
			DeadLetters []deadLetter `json:"deadletters"`
			Next        string
		}](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/deadletters?limit=500&cursor="+cursor, nil))
		all = append(all, got.DeadLetters...)
		if cursor = got.Next; cursor == "" {
			return all
		}
	}
}

// TestPoison mixes 10,000 good events of 300 applications with 500 of unknown applications, 200 of unknown
// metrics, 100 stale and 50 in the future. Every good one is counted, no batch is discarded, and every bad
// one is refused at the door or a dead letter with its reason.
func TestPoison(t *testing.T) {
	t.Parallel() // it waits more than it works
	const applications = 300
	b := sandbox(t)
	b.addApplications(applications, func(i int) (service, name string) { return "1001", application(i) })
	d := serve(t, newSettings(t, b.url).set("batch.flush_interval", "500ms").set("sender.negative_cache", "3s"))
	var good, poison [][]event
	want := tally{}
	now := time.Now()
	for i := range 10_000 {
		e := hit("1001", application(i%applications))
		want.count("1001", e.AppID, "hits", 1)
		good = append(good, []event{e})
	}
	for i := range 500 {
		poison = append(poison, []event{hit("1001", fmt.Sprint("ghost-", i%60))})
	}
	for i := range 200 {
		e := hit("1001", application(i))
		e.Usage = map[string]uint64{fmt.Sprint("nosuch", i%4): 1}
		poison = append(poison, []event{e})
	}
	for i := range 150 {
		e := hit("1001", application(i))
		e.Timestamp = now.Add(-25 * time.Hour).Unix()
		if i >= 100 {
			e.Timestamp = now.Add(2 * time.Hour).Unix()
		}
		poison = append(poison, []event{e})
	}
	requests := append(good, poison...)
	rand.Shuffle(len(requests), func(i, j int) { requests[i], requests[j] = requests[j], requests[i] })
	refused := 0
	for _, r := range requests {
		body, err := json.Marshal(r)
		assert.NoError(t, err)
		got, err := call(testClient, http.MethodPost, d.traffic+"/v1/events", "application/json", body)
		assert.NoError(t, err)
		if got.status == http.StatusUnprocessableEntity {
			refused++
		} else {
			assert.Equal(t, http.StatusAccepted, got.status)
		}
	}
	sent := time.Now()
	d.flush()
	eventually(t, 60*time.Second, "every good event is delivered", func() bool { return d.status().Events.Delivered >= 10_000 })
	delivered := time.Since(sent)
	st := d.drained(60 * time.Second)
	c, letters := b.calls(), d.deadLetters()
	t.Logf("10,000 good events counted %v after the last was sent; %d refused at the door, %d dead letters after %v; %d reports, %d questions, %d batches discarded",
		delivered.Round(time.Millisecond), refused, len(letters), time.Since(sent).Round(time.Millisecond), c.Report, c.Authorize, c.DiscardedBatches)
	assert.Equal(t, 150, refused)
	assert.EqualValues(t, 10_000, st.Events.Delivered)
	assert.EqualValues(t, 700, st.Events.Dead)
	assert.Equal(t, want, b.usage().counters())
	assert.Zero(t, c.DiscardedBatches)
	reasons := map[string]int{}
	for _, l := range letters {
		reasons[l.Reason.Code] += l.Events
		assert.NotEmpty(t, l.Reason.Message)
	}
	assert.Equal(t, map[string]int{"application_not_found": 500, "metric_invalid": 200}, reasons)
}
