package test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// shown is a daemon with receipts and what becomes of its reports, which are sent one at a time.
type shown struct {
	*daemon
	b       *backend
	size    int
	sent    map[string]uint64        // by the number of events accepted with it: hits that the sandbox counted of it at first
	took    map[string]time.Duration // until that
	counted uint64
}

// showReceipts serves with receipts, and proves as many applications as a report has.
func showReceipts(t *testing.T, size int) *shown {
	b := sandbox(t)
	b.addApplications(size, func(i int) (service, name string) { return "1001", application(i) })
	s := newSettings(t, b.url).set("services", b.setUpReceipts()).set("batch.flush_interval", "10ms").set("sender.negative_cache", "1s").
		set("sender.probe_rate", 10_000).set("sender.proof_life", "24h")
	x := &shown{daemon: serve(t, s), b: b, size: size, sent: map[string]uint64{}, took: map[string]time.Duration{}}
	x.report(map[string]any{}, 0)
	x.drained(90 * time.Second)
	x.counted = x.hits()
	x.sent, x.took = map[string]uint64{}, map[string]time.Duration{}
	return x
}

func (x *shown) hits() (n uint64) {
	for app, counted := range x.b.usage()["1001"] {
		if len(app) > 0 {
			n += counted["hits"]
		}
	}
	return n
}

// report sets faults, sends one report of all applications, and waits until the sandbox is done with it and settled has passed.
func (x *shown) report(faults map[string]any, settled time.Duration) {
	x.t.Helper()
	x.b.faults(faults)
	var all []event
	for i := range x.size {
		all = append(all, hit("1001", application(i)))
	}
	before, begun := x.b.calls().Report, time.Now()
	x.send(all...)
	eventually(x.t, 60*time.Second, "a report is sent", func() bool { return x.b.calls().Report > before })
	counted := x.hits()
	for until := time.Now().Add(settled); time.Now().Before(until) && counted-x.counted < uint64(x.size); counted = x.hits() {
		pause(x.t.Context(), 20*time.Millisecond)
	}
	id := fmt.Sprintf("%012d-0000", x.status().Events.Accepted)
	x.sent[id], x.took[id] = counted-x.counted, time.Since(begun)
	x.counted = counted
}

// ended waits until nothing is pending.
func (x *shown) ended(within time.Duration) {
	x.t.Helper()
	eventually(x.t, within, "each report has its end", func() bool {
		pause(x.t.Context(), time.Second)
		return x.status().Events.Pending == 0
	})
}

// ends are the ends that the log names, by batch; what was counted whole has no line.
func (x *shown) ends() map[string]string {
	ends := map[string]string{}
	for _, line := range x.logged() {
		var l struct{ Msg, Batch string }
		if json.Unmarshal([]byte(line), &l) != nil || l.Batch == "" {
			continue
		}
		switch l.Msg {
		case "3scale accepted a report and counted nothing of it: it is sent again":
			ends[l.Batch] = "dropped"
		case "3scale counted a part of a report: it is not sent again":
			ends[l.Batch] = "partial"
		case "3scale counted a report more often than once":
			ends[l.Batch] = "double"
		case "whether 3scale counted a report cannot be found out: it is booked as delivered":
			ends[l.Batch] = "unconfirmed"
		}
	}
	return ends
}

// judge compares each end with what the sandbox counted, and the sum with what it should be.
func (x *shown) judge() {
	ends, wrong, should := x.ends(), 0, uint64(0)
	kinds := map[string]int{}
	for id, hits := range x.sent {
		truth := ""
		switch size := uint64(x.size); {
		case hits == 0:
			truth, should = "dropped", should+size
		case hits < size:
			truth, should = "partial", should+hits
		case hits > size:
			truth, should = "double", should+hits
		default:
			should += hits
		}
		kinds[truth]++
		if ends[id] != truth {
			wrong++
			x.t.Logf("batch %s: %d of %d counted, concluded %q", id, hits, x.size, ends[id])
		}
	}
	assert.Zero(x.t, wrong, "wrong conclusions")
	assert.EqualValues(x.t, should+uint64(x.size), x.hits(), "nothing is counted twice by us, or lost")
	times := make([]time.Duration, 0, len(x.took))
	for _, d := range x.took {
		times = append(times, d)
	}
	slices.Sort(times)
	x.t.Logf("%d reports of %d: %v; %d wrong conclusions; seen by the sandbox after %v (median)", len(x.sent), x.size, kinds, wrong, times[len(times)/2].Round(time.Millisecond))
}

// TestReceiptsShow: a slice is written twice, and answers are lost whose reports land at once, after 1 s and after 6 s. Each
// report is called what it is, and none is counted twice by us.
func TestReceiptsShow(t *testing.T) {
	t.Parallel() // it waits more than it works
	x := showReceipts(t, 450)
	lost := func(late string) map[string]any {
		return map[string]any{"report": map[string]any{"times": 1, "close": true, "landed": true, "late": late}}
	}
	x.report(map[string]any{"worker": map[string]any{"times": 1, "least": 400, "restart": 430}}, 8*time.Second)
	pause(t.Context(), time.Second)
	for _, late := range []string{"0s", "1s", "6s"} {
		x.report(lost(late), 10*time.Second)
	}
	x.b.heal()
	x.drained(90 * time.Second)
	assert.Contains(t, x.ends(), fmt.Sprintf("%012d-0000", 900))
	assert.Zero(t, x.status().Events.Dead)
	for app, counted := range x.b.usage()["1001"] {
		if metric := counted["hits"]; metric > 0 {
			assert.LessOrEqual(t, metric, uint64(6), app)
		}
	}
	r := x.receipts().Receipts.Reports
	assert.EqualValues(t, 1, r["double"])
	assert.EqualValues(t, 4, r["counted"])
	assert.Zero(t, r["partial"]+r["dropped"]+r["unconfirmed"])
}

// TestReceiptsLong: the worker is killed in a job of 990 transactions 50 times, and listeners 200 times with and without the
// report landing, at once or later. Each end is what the sandbox counted, and nothing is counted twice.
func TestReceiptsLong(t *testing.T) {
	if os.Getenv("REPORTERD_RECEIPTS") == "" {
		t.Skip("takes half an hour: set REPORTERD_RECEIPTS=1")
	}
	t.Run("worker killed", func(t *testing.T) {
		t.Parallel()
		x := showReceipts(t, 990)
		for range 50 {
			x.report(map[string]any{"worker": map[string]any{"times": 1, "least": 900, "kill": rand.IntN(1000)}}, time.Second)
		}
		x.b.heal()
		begun := time.Now()
		x.ended(40 * time.Minute)
		t.Logf("all ended after %v", time.Since(begun).Round(time.Second))
		x.judge()
	})
	t.Run("listener killed", func(t *testing.T) {
		t.Parallel()
		x := showReceipts(t, 20)
		lates := []string{"0s", "1s", "6s", "300s"}
		landed, later := 0, uint64(0)
		for n := range 200 {
			lands := rand.IntN(4) == 0
			late := lates[n%len(lates)]
			x.report(map[string]any{"report": map[string]any{"times": 1, "close": true, "landed": lands, "late": late}}, 0)
			if lands {
				landed++
				later += uint64(x.size)
			}
			x.report(map[string]any{}, 0) // one that succeeds, so that the lane does not wait
		}
		x.b.heal()
		begun := time.Now()
		x.ended(40 * time.Minute)
		ended := x.status()
		t.Logf("200 answers were lost, %d reports had landed; all ended after %v; %v", landed, time.Since(begun).Round(time.Second), x.receipts().Receipts.Reports)
		assert.Zero(t, ended.Events.Dead)
		for i := range x.size {
			assert.EqualValues(t, 401, x.b.usage()["1001"][application(i)]["hits"], "each is counted once")
		}
	})
}

// TestLimitWithReceiptsWhileTheWorkerStands: the worker stands, for 30 minutes in the long form. A limit of 100 grants 100, also
// after a kill of the daemon.
func TestLimitWithReceiptsWhileTheWorkerStands(t *testing.T) {
	t.Parallel()
	stands := 3 * time.Second
	if os.Getenv("REPORTERD_RECEIPTS") != "" {
		stands = 30 * time.Minute
	}
	b := sandbox(t)
	b.limited("behind", limit{"hits", "eternity", 100})
	s := newSettings(t, b.url).set("services", b.setUpReceipts()).set("batch.flush_interval", "20ms").set("authorize.ttl", "100ms").set("authorize.deny_ttl", "100ms")
	d, granted := serve(t, s), 0
	b.stopWorker()
	begun := time.Now()
	for round := 0; time.Since(begun) < stands || round < 4; round++ {
		for range 40 {
			if d.authrep(testClient, "behind", "search") == http.StatusOK {
				granted++
			}
		}
		if round == 1 {
			d.kill()
			d = serve(t, s)
		}
		pause(t.Context(), stands/6)
	}
	assert.Equal(t, 100, granted)
	require.NotZero(t, d.receipts().Receipts.Open)
	b.heal()
	assert.EqualValues(t, 100, d.drained(60*time.Second).Events.Delivered)
	assert.EqualValues(t, 100, b.usage()["1001"]["behind"]["hits"])
	for range 10 {
		assert.NotEqual(t, http.StatusOK, d.authrep(testClient, "behind", "search"))
	}
}
