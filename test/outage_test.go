package test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	outageVariable = "REPORTERD_OUTAGE_SECONDS"
	outageSeconds  = 3      // of each phase, by default; the few minutes take 180
	outageRate     = 20_000 // events a second
	outageApps     = 300    // in each of two services
)

// phase is one way for the backend to be away.
type phase struct {
	name  string
	begin func(*outage)
	end   func(*outage)
}

var phases = []phase{
	{"refuses connections", func(o *outage) { o.line.cut() }, func(o *outage) { o.line.join() }},
	{"answers 503", func(o *outage) { o.fail(map[string]any{"status": 503}) }, (*outage).heal},
	{"hangs", func(o *outage) { o.fail(map[string]any{"status": 504, "delay": "1h"}) }, (*outage).heal},
	{"refuses one service's token", func(o *outage) {
		o.fail(map[string]any{"status": 403, "service_id": "1002", "code": "service_token_invalid", "text": "no"})
	}, func(o *outage) {
		o.heal()
		mustCall(o.t, http.StatusOK, http.MethodPost, o.daemon.admin+"/-/reload", nil)
	}},
}

// outage is a daemon under load whose backend goes away in several ways.
type outage struct {
	t       *testing.T
	backend *backend
	line    *cable
	daemon  *daemon
	sent    atomic.Int64 // events acknowledged
	marks   uint64
}

func (o *outage) fail(f map[string]any) {
	mustCall(o.t, http.StatusOK, http.MethodPut, o.backend.url+"/sandbox/faults", map[string]any{"report": f, "authorize": f})
}

func (o *outage) heal() { o.backend.heal() }

// load sends events at a steady rate until ctx ends.
func (o *outage) load(ctx context.Context) {
	const perRequest = 200
	requests := rawEvents(512, perRequest, func(i int) string {
		if i%2 == 0 {
			return fmt.Sprintf(`{"service_id":"1001","app_id":"%s","usage":{"hits":1}}`, application(2*(i%outageApps)))
		}
		return fmt.Sprintf(`{"service_id":"1002","user_key":"%s","usage":{"hits":1}}`, application(2*(i%outageApps)+1))
	})
	ticker := time.NewTicker(time.Second * perRequest / outageRate)
	defer ticker.Stop()
	for n := 0; ctx.Err() == nil; n++ {
		one, err := load{o.daemon.await("traffic"), 1, requests[n%512 : n%512+1], perRequest}.run(context.Background())
		assert.NoError(o.t, err)
		o.sent.Add(int64(one.requests * perRequest))
		select {
		case <-ctx.Done():
		case <-ticker.C:
		}
	}
}

// delay is how long an event of service 1003 takes to be counted.
func (o *outage) delay() time.Duration {
	begun := time.Now()
	o.marks++
	o.daemon.send(hit("1003", "appoauth"))
	eventually(o.t, 30*time.Second, "an event of another service is counted", func() bool {
		return o.backend.usage()["1003"]["appoauth"]["hits"] >= o.marks
	})
	return time.Since(begun)
}

// delays measures for a while, and returns the median and the worst.
func (o *outage) delays(during time.Duration) (median, worst time.Duration) {
	var all []time.Duration
	for end := time.Now().Add(during); time.Now().Before(end) || len(all) == 0; {
		all = append(all, o.delay())
		pause(o.t.Context(), 200*time.Millisecond)
	}
	slices.Sort(all)
	return all[len(all)/2].Round(time.Millisecond), all[len(all)-1].Round(time.Millisecond)
}

// TestOutageSeries: the backend refuses connections, then answers 503, then hangs, then refuses one
// service's token, each for a while under load. Nothing is lost, memory stays flat, others do not notice.
func TestOutageSeries(t *testing.T) {
	t.Parallel() // it waits more than it works
	linuxOnly(t)
	during := time.Duration(number(t, outageVariable, outageSeconds)) * time.Second
	o := &outage{t: t, backend: sandbox(t)}
	o.backend.addApplications(2*outageApps, func(i int) (service, name string) {
		return []string{"1001", "1002"}[i%2], application(i)
	})
	o.line = newCable(t, o.backend.url)
	o.daemon = serve(t, newSettings(t, o.line.url()).set("batch.flush_interval", "500ms").set("backend.timeout", "2s").set("spool.max_bytes", "4GiB"))
	ctx, stop := context.WithCancel(t.Context())
	loading := make(chan struct{})
	go func() { // ends with stop
		defer close(loading)
		o.load(ctx)
	}()
	o.delay()
	median, worst := o.delays(during)
	memory, _ := o.daemon.memory()
	t.Logf("undisturbed: %.0f MiB; delay of a third service: median %v, worst %v", memory, median, worst)
	for i, p := range phases {
		before := o.daemon.status()
		p.begin(o)
		begun := time.Now()
		if last := i == len(phases)-1; last {
			m, w := o.delays(during)
			t.Logf("%s: delay of a third service: median %v, worst %v", p.name, m, w)
			assert.Less(t, m, 3*median+time.Second)
		} else {
			pause(ctx, during)
		}
		after := o.daemon.status()
		calls := after.Backend.ReportCalls + after.Backend.Questions - before.Backend.ReportCalls - before.Backend.Questions
		took := time.Since(begun)
		p.end(o)
		healed := time.Now()
		o.delay()
		eventually(t, 60*time.Second+4*during, "drained but for what has just come", func() bool {
			return o.daemon.status().Events.Pending < 3*outageRate
		})
		t.Logf("%s for %v: %.1f calls a second; %d events waited; drained %v after the end", p.name, took.Round(time.Second),
			float64(calls)/took.Seconds(), after.Events.Pending, time.Since(healed).Round(10*time.Millisecond))
	}
	stop()
	<-loading
	st := o.daemon.drained(60 * time.Second)
	_, peak := o.daemon.memory()
	accepted := o.sent.Load() + int64(o.marks)
	t.Logf("%d events at %d a second; at most %.0f MiB; %d called ambiguous", accepted, outageRate, peak, st.Events.Ambiguous)
	require.EqualValues(t, accepted, st.Events.Accepted)
	assert.EqualValues(t, accepted, st.Events.Delivered)
	assert.EqualValues(t, accepted, o.backend.usage().counters().hits(), "each counted once: none of these faults lands")
	assert.Zero(t, o.backend.calls().DiscardedBatches)
	assert.Less(t, peak, 2*memory+64)
}
