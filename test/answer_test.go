package test

import (
	"net/http"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAnswersThatAreNotTheBackends: a proxy answers reports itself, with a success. None is a delivery; the usage stays, and is
// counted once the proxy lets reports through.
func TestAnswersThatAreNotTheBackends(t *testing.T) {
	for name, answer := range map[string]map[string]any{
		"202 with a body":    {"status": 202, "body": "queued"},
		"202 and a web page": {"status": 202, "body": "<html>", "headers": map[string]string{"Content-Type": "text/html"}},
		"202, no web page":   {"status": 202, "headers": map[string]string{"Content-Type": "text/html"}},
		"202, cut off":       {"status": 202, "body": "accepted", "close": true},
		"200":                {"status": 200, "body": "<status><authorized>true</authorized></status>"},
		"204":                {"status": 204},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sandbox(t)
			d := serve(t, newSettings(t, b.url).set("batch.flush_interval", "50ms"))
			b.faults(map[string]any{"report": answer})
			d.send(hit("1001", "app1"), hit("1001", "app2"))
			eventually(t, 10*time.Second, "the outcome is unknown", func() bool { return d.status().Events.Ambiguous == 2 })
			assert.Zero(t, d.status().Events.Delivered)
			assert.EqualValues(t, 2, d.status().Events.Pending)
			b.heal()
			d.flush()
			assert.EqualValues(t, 2, d.drained(10*time.Second).Events.Delivered)
			eventually(t, 10*time.Second, "all is counted", func() bool { return b.usage().counters().hits() == 2 })
		})
	}
}

// TestADenialEndsTheProof deletes an application and lets a client ask for it by each kind of call. After 3scale's denial, no report
// contains usage of that application together with other usage.
func TestADenialEndsTheProof(t *testing.T) {
	query := "service_id=1001&service_token=stoken1001&app_id=gone&usage%5Bhits%5D=1"
	get := func(path string) func(t *testing.T, d *daemon) int {
		return func(t *testing.T, d *daemon) int {
			got, err := call(testClient, http.MethodGet, d.traffic+path+"?"+query, "", nil)
			require.NoError(t, err)
			return got.status
		}
	}
	for name, ask := range map[string]func(t *testing.T, d *daemon) int{
		"authorize": get("/transactions/authorize.xml"),
		"authrep":   get("/transactions/authrep.xml"),
		"json": func(t *testing.T, d *daemon) int {
			got, err := call(testClient, http.MethodPost, d.traffic+"/v1/authorize", "application/json",
				[]byte(`{"service_id":"1001","app_id":"gone","usage":{"hits":1}}`))
			require.NoError(t, err)
			return got.status
		},
		"NATS": func(t *testing.T, d *daemon) int {
			c, err := nats.Connect("nats://" + d.address("nats"))
			require.NoError(t, err)
			defer c.Close()
			m, err := c.Request("authorize.1001", []byte(`{"app_id":"gone","usage":{"hits":1}}`), 5*time.Second)
			require.NoError(t, err)
			assert.Contains(t, string(m.Data), "application_not_found")
			return http.StatusNotFound
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := sandbox(t)
			b.addApplications(20, func(i int) (service, name string) { return "1001", application(i) })
			mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", map[string]any{"service_id": "1001", "app_id": "gone"})
			d := serve(t, newSettings(t, b.url).set("batch.flush_interval", "100ms").set("authorize.ttl", "100ms").set("authorize.deny_ttl", "100ms").
				set("sender.negative_cache", "1s").set("nats.embedded", true).set("nats.listen", "127.0.0.1:0"))
			all := []event{hit("1001", "gone")}
			for i := range 20 {
				all = append(all, hit("1001", application(i)))
			}
			d.send(all...)
			assert.EqualValues(t, 21, d.drained(20*time.Second).Events.Delivered, "all are proven")
			eventually(t, 10*time.Second, "all is counted", func() bool { return b.usage().counters().hits() == 21 })
			mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", map[string]any{"service_id": "1001", "app_id": "gone", "state": "deleted"})
			assert.Equal(t, http.StatusNotFound, ask(t, d))
			d.send(all...)
			ended := d.drained(20 * time.Second)
			assert.EqualValues(t, 1, ended.Events.Dead)
			eventually(t, 10*time.Second, "the neighbours are counted", func() bool { return b.usage().counters().hits() == 41 })
			assert.Zero(t, b.calls().DiscardedBatches)
		})
	}
}

// TestOneWindow: usage of each age is refused when it arrives, or it is counted. None is taken and becomes a dead letter.
func TestOneWindow(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url).set("batch.flush_interval", "1s").set("sender.negative_cache", "1s"))
	const last = 24*time.Hour - 110*time.Second // accepted at this age: a minute of margin, the longest flush interval, and 30 s to send it
	taken := uint64(0)
	for age := 24*time.Hour + time.Minute; age > 23*time.Hour+40*time.Minute; age -= 20 * time.Second {
		e := hit("1001", "app1")
		began := time.Now()
		e.Timestamp = began.Add(-age).Unix()
		got := d.offer(e)
		if oldest := age + time.Second + time.Since(began); got.status == http.StatusAccepted { // when it was decided
			assert.LessOrEqual(t, age, last, "accepted")
			taken++
		} else {
			assert.Greater(t, oldest, last, "refused with %d", got.status)
		}
	}
	for ahead := time.Duration(0); ahead < 59*time.Minute; ahead += 10 * time.Minute {
		e := hit("1001", "app1")
		e.Timestamp = time.Now().Add(ahead).Unix()
		d.send(e)
		taken++
	}
	ended := d.drained(20 * time.Second)
	assert.Equal(t, taken, ended.Events.Delivered)
	eventually(t, 10*time.Second, "all of it is counted", func() bool { return b.usage().counters().hits() == taken })
}
