package test

import (
	"fmt"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// ownServices are ten configured services, which the sandbox has as well.
func ownServices(b *backend) (list []any) {
	b.t.Helper()
	for i := range 10 {
		id := fmt.Sprint(7001 + i)
		mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/services", map[string]any{"id": id, "tokens": []string{"own"}})
		mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications", map[string]any{"service_id": id, "app_id": "own"})
		list = append(list, map[string]any{"id": id, "token": "own"})
	}
	return list
}

// delays are how long deliveries took, sorted.
type delays []time.Duration

func (d delays) String() string {
	return fmt.Sprintf("%v (p50), %v at most", d.median().Round(time.Millisecond), d.most().Round(time.Millisecond))
}

func (d delays) median() time.Duration { return d[len(d)/2] }

func (d delays) most() time.Duration { return d[len(d)-1] }

// ownDelivered sends an event of each of the ten services, some times in a row, and returns how long each took to be delivered.
func (d *daemon) ownDelivered(rounds int) (took delays) {
	d.t.Helper()
	type byService struct {
		Services []struct {
			ServiceID string `json:"service_id"`
			Delivered uint64
		}
	}
	delivered := func() map[string]uint64 {
		found := map[string]uint64{}
		for _, s := range read[byService](d.t, mustCall(d.t, http.StatusOK, http.MethodGet, d.admin+"/api/v1/status", nil)).Services {
			found[s.ServiceID] = s.Delivered
		}
		return found
	}
	for range rounds {
		before, waiting := delivered(), map[string]bool{}
		var own []event
		for i := range 10 {
			id := fmt.Sprint(7001 + i)
			waiting[id], own = true, append(own, hit(id, "own"))
		}
		began := time.Now()
		d.send(own...)
		eventually(d.t, 2*time.Minute, "the events of configured services are delivered", func() bool {
			now := delivered()
			for id := range waiting {
				if now[id] > before[id] {
					delete(waiting, id)
					took = append(took, time.Since(began))
				}
			}
			return len(waiting) == 0
		})
		d.t.Logf("a round of ten: %v", took[len(took)-10:])
	}
	slices.Sort(took)
	return took
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
	s := newSettings(t, b.url).set("services", ownServices(b)).set("batch.flush_interval", "50ms").set("backend.passthrough", "trust").
		set("backend.passthrough_lanes", strangers).set("spool.max_bytes", "2GiB").set("admin.pprof", soak)
	d := serve(t, s)
	d.ownDelivered(1)
	alone := d.ownDelivered(5)
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
	beside := d.ownDelivered(5)
	now, _ := d.memory()
	status := d.status()
	d.kill()
	began = time.Now()
	d = serve(t, s)
	start := time.Since(began)
	after := d.ownDelivered(1)
	restarted, _ := d.memory()
	t.Logf("%d lanes of strangers, taken in %v: ten configured services are delivered within %v without them, %v beside them, %v after a kill; a start takes %v; %.0f MiB without, %.0f with them, %.0f after the start; %d lanes named in the status",
		strangers, took.Round(time.Millisecond), alone, beside, after, start.Round(time.Millisecond), without, now, restarted, len(status.Lanes))
	require.LessOrEqual(t, len(status.Lanes), 110)
	assert.Less(t, beside.median(), alone.median()+5*time.Second)
	assert.Less(t, beside.most(), alone.most()+15*time.Second)
	assert.Less(t, after.most(), alone.most()+5*time.Second)
	d.kill()
}
