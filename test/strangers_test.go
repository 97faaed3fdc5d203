package test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ownDelivered sends an event of each configured service, and returns how long it took until all of them were delivered.
func (d *daemon) ownDelivered() time.Duration {
	d.t.Helper()
	type byService struct {
		Services []struct {
			ServiceID string `json:"service_id"`
			Delivered uint64
		}
	}
	delivered := func() (n uint64) {
		page := read[byService](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/status", nil))
		for _, s := range page.Services {
			if s.ServiceID != "other" {
				n += s.Delivered
			}
		}
		return n
	}
	before := delivered()
	own := []event{hit("1001", "app2"), hit("1003", "appoauth"), hit("1004", "appref")}
	began := time.Now()
	d.send(own...)
	eventually(d.t, 60*time.Second, "the events of configured services are delivered", func() bool { return delivered() == before+uint64(len(own)) })
	return time.Since(began)
}

// TestStrangersBesideConfiguredServices: lanes of services that are not configured, and that the backend refuses, change neither how
// long events of configured services take nor, beyond their bound, anything at all; and a restart takes them up. REPORTERD_STRANGERS
// says how many; without it there are 300.
func TestStrangersBesideConfiguredServices(t *testing.T) {
	linuxOnly(t)
	strangers, soak := 300, false
	if n, err := strconv.Atoi(os.Getenv("REPORTERD_STRANGERS")); err == nil {
		strangers, soak = n, true
	}
	b := sandbox(t)
	s := newSettings(t, b.url).set("batch.flush_interval", "50ms").set("backend.passthrough", "trust").
		set("backend.passthrough_lanes", strangers).set("spool.max_bytes", "2GiB").set("admin.pprof", soak)
	d := serve(t, s)
	d.ownDelivered()
	alone := d.ownDelivered()
	_, without := d.memory()
	var senders sync.WaitGroup
	const connections = 16
	began := time.Now()
	for c := range connections {
		senders.Go(func() {
			for i := c; i < strangers; i += connections {
				stranger := url.Values{"service_token": {"passed"}, "service_id": {fmt.Sprint("stranger", i)}}
				eventually(t, 10*time.Second, "it is taken", func() bool { // a lane is counted twice for a moment when it is sealed
					return d.report(stranger, "app").status == http.StatusAccepted
				})
			}
		})
	}
	senders.Wait()
	took := time.Since(began)
	more := 0
	eventually(t, time.Minute, "one more is too many, once what was accepted is counted", func() bool {
		more++
		got := d.report(url.Values{"service_token": {"passed"}, "service_id": {fmt.Sprint("one-more", more)}}, "app")
		return got.status == http.StatusTooManyRequests
	})
	beside := d.ownDelivered()
	now, _ := d.memory()
	status := d.status()
	d.kill()
	began = time.Now()
	d = serve(t, s)
	start := time.Since(began)
	after := d.ownDelivered()
	restarted, _ := d.memory()
	t.Logf("%d lanes of strangers, taken in %v: configured services are delivered in %v without them, %v beside them, %v after a restart, which takes %v; %.0f MiB without, %.0f with them, %.0f after the restart; %d lanes named in the status",
		strangers, took.Round(time.Millisecond), alone.Round(time.Millisecond), beside.Round(time.Millisecond), after.Round(time.Millisecond), start.Round(time.Millisecond), without, now, restarted, len(status.Lanes))
	require.LessOrEqual(t, len(status.Lanes), 105)
	assert.Less(t, beside, alone+5*time.Second)
	assert.Less(t, after, alone+5*time.Second)
	d.kill()
}
