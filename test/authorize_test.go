package test

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// limit is one of the sandbox's.
type limit struct {
	Metric string `json:"metric"`
	Period string `json:"period"`
	Max    int    `json:"max"`
}

// limited makes an application of service 1001 with one limit.
func (b *backend) limited(app string, l limit) {
	b.t.Helper()
	mustCall(b.t, http.StatusOK, http.MethodPut, b.url+"/sandbox/applications",
		map[string]any{"service_id": "1001", "app_id": app, "plan": "Test", "limits": []limit{l}})
}

// questions is how often the sandbox was asked for an authorization.
func (b *backend) questions() uint64 {
	b.t.Helper()
	return read[struct{ Authorize uint64 }](b.t, mustCall(b.t, http.StatusOK, http.MethodGet, b.url+"/sandbox/calls", nil)).Authorize
}

// authrep asks for one of a metric, and returns the status; 0: there was no answer.
func (d *daemon) authrep(client *http.Client, app, metric string) int {
	got, err := call(client, http.MethodGet, d.traffic+"/transactions/authrep.xml?service_token=stoken1001&service_id=1001&app_id="+
		app+"&usage%5B"+metric+"%5D=1", "", nil)
	if err != nil {
		return 0
	}
	return got.status
}

// hammered is what 64 callers were told.
type hammered struct{ granted, denied, unanswered atomic.Int64 }

// hammer asks from 64 connections at once until each was denied or got no answer.
func (h *hammered) hammer(d *daemon, app, metric string) {
	var all sync.WaitGroup
	client := newClient()
	defer client.CloseIdleConnections()
	for range 64 {
		all.Go(func() {
			for {
				switch d.authrep(client, app, metric) {
				case http.StatusOK:
					h.granted.Add(1)
				case 0:
					h.unanswered.Add(1)
					return
				default:
					h.denied.Add(1)
					return
				}
			}
		})
	}
	all.Wait()
}

// TestLimitIsExact: a limit of 1000 grants 1000 to 64 connections, cold, while what they used is being
// delivered: to the metric itself, and to the parent through its child.
func TestLimitIsExact(t *testing.T) {
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url).set("batch.flush_interval", "20ms").set("authorize.ttl", "200ms"))
	for app, c := range map[string]struct {
		limit  limit
		metric string
	}{
		"itself":  {limit{"hits", "eternity", 1000}, "hits"},
		"child":   {limit{"hits", "year", 1000}, "other"},
		"hundred": {limit{"hits", "eternity", 100}, "search"},
	} {
		b.limited(app, c.limit)
		var h hammered
		h.hammer(d, app, c.metric)
		assert.EqualValues(t, c.limit.Max, h.granted.Load(), app)
		d.drained(10 * time.Second)
		assert.EqualValues(t, c.limit.Max, b.usage()["1001"][app]["hits"], app)
	}
}

// TestLimitAcrossKill: the daemon is killed while it grants, and started again. What it granted before is
// on disk, on its way or at the backend, and is counted wherever it is: in the end the backend has counted
// the limit, and as much was granted as it counted, give or take what nobody got an answer for.
func TestLimitAcrossKill(t *testing.T) {
	t.Parallel()
	b := sandbox(t)
	for _, app := range []string{"killed1", "killed2", "killed3"} {
		const most = 2000
		b.limited(app, limit{"hits", "eternity", most})
		s := newSettings(t, b.url).set("batch.flush_interval", "30ms").set("authorize.ttl", "300ms")
		d := serve(t, s)
		var h hammered
		var calling sync.WaitGroup
		calling.Go(func() { h.hammer(d, app, "search") })
		eventually(t, 20*time.Second, "half of the limit is granted", func() bool { return h.granted.Load() > most/2 })
		d.kill()
		calling.Wait()
		before := h.granted.Load()
		d = serve(t, s)
		h.hammer(d, app, "search")
		figures := d.drained(20 * time.Second)
		counted := int64(b.usage()["1001"][app]["hits"])
		t.Logf("limit %d: %d granted before the kill, %d in all, %d without an answer, %d counted, %d events ambiguous",
			most, before, h.granted.Load(), h.unanswered.Load(), counted, figures.Events.Ambiguous)
		assert.EqualValues(t, most, counted)
		assert.LessOrEqual(t, h.granted.Load(), counted)
		assert.GreaterOrEqual(t, h.granted.Load()+h.unanswered.Load()+int64(figures.Events.Ambiguous), counted)
		d.kill()
	}
}

// TestStampedeIsOneQuestion: a thousand callers at once with a key nobody asked about.
func TestStampedeIsOneQuestion(t *testing.T) {
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	mustCall(t, http.StatusOK, http.MethodPut, b.url+"/sandbox/faults", map[string]fault{"authorize": {Delay: "300ms"}})
	client := newClient()
	var all sync.WaitGroup
	var granted atomic.Int64
	for range 1000 {
		all.Go(func() {
			if d.authrep(client, "app2", "hits") == http.StatusOK {
				granted.Add(1)
			}
		})
	}
	all.Wait()
	assert.EqualValues(t, 1000, granted.Load())
	assert.EqualValues(t, 1, b.questions())
	d.drained(10 * time.Second)
	assert.EqualValues(t, 1000, b.usage()["1001"]["app2"]["hits"])
}

// TestAuthorizeMetrics: what an operator sees of it.
func TestAuthorizeMetrics(t *testing.T) {
	b := sandbox(t)
	d := serve(t, newSettings(t, b.url))
	require.Equal(t, http.StatusOK, d.authrep(testClient, "applim", "hits"))
	got := mustCall(t, http.StatusOK, http.MethodPost, d.traffic+"/v1/authorize",
		map[string]any{"service_id": "1001", "app_id": "applim", "usage": map[string]int{"hits": 10}})
	assert.Contains(t, got.body, `"authorized":false,"reason":"limits_exceeded"`)
	b.kill()
	assert.Equal(t, http.StatusOK, d.authrep(testClient, "applim", "hits"), "from memory, without a backend")
	text := mustCall(t, http.StatusOK, http.MethodGet, d.admin+"/metrics", nil).body
	for _, line := range []string{
		`reporterd_authorize_answers_total{source="backend"} 1`, `reporterd_authorize_answers_total{source="cache"} 2`,
		`reporterd_authorize_granted_total 2`, `reporterd_authorize_denied_total{reason="limits_exceeded"} 1`,
		`reporterd_authorize_usage_total{outcome="recorded"} 2`, `reporterd_authorize_entries{kind="answer"} 1`,
		`reporterd_authorize_backend_seconds_count 1`,
	} {
		assert.True(t, strings.Contains(text, line+"\n"), line)
	}
}

// TestDeployIsNoStampede: after a stop and a start, what was asked about is known, and its limit is kept.
func TestDeployIsNoStampede(t *testing.T) {
	b := sandbox(t)
	b.limited("deployed", limit{"hits", "eternity", 100})
	s := newSettings(t, b.url).set("batch.flush_interval", "1h")
	d := serve(t, s)
	for range 60 {
		require.Equal(t, http.StatusOK, d.authrep(testClient, "deployed", "search"))
	}
	d.stop()
	before := b.questions()
	d = serve(t, s)
	var h hammered
	h.hammer(d, "deployed", "hits")
	assert.EqualValues(t, 40, h.granted.Load())
	assert.Equal(t, before, b.questions(), "nothing was asked")
	d.drained(10 * time.Second)
	assert.EqualValues(t, 100, b.usage()["1001"]["deployed"]["hits"])
}
