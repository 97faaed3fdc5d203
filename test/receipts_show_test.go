package test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
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
	kills   map[string]int           // transactions that the worker wrote of it before it was killed
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
	x.sent, x.took, x.kills = map[string]uint64{}, map[string]time.Duration{}, map[string]int{}
	b.addApplications(1, func(int) (service, name string) { return "1001", steady })
	return x
}

func (x *shown) hits() (n uint64) {
	for app, counted := range x.b.usage()["1001"] {
		if app != steady {
			n += counted["hits"]
		}
	}
	return n
}

// report sets faults, sends one report of all applications, and waits until the sandbox is done with it and settled has passed.
func (x *shown) report(faults map[string]any, settled time.Duration) (id string) {
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
	id = fmt.Sprintf("%012d-0000", x.status().Events.Accepted)
	x.sent[id], x.took[id] = counted-x.counted, time.Since(begun)
	x.counted = counted
	return id
}

// steady is an application whose usage goes on while reports wait for their ends.
const steady = "steady"

// ended waits until nothing is pending but what goes on: a report of one event every minute, as of a service in use. Where there is
// none, probes show that the worker runs, and of a daemon that has just started they come later.
func (x *shown) ended(within time.Duration) {
	x.t.Helper()
	begun, sent := time.Now(), time.Time{}
	eventually(x.t, within, "each report has its end", func() bool {
		pause(x.t.Context(), time.Second)
		if time.Since(sent) > time.Minute {
			sent = time.Now()
			x.send(hit("1001", steady))
		}
		return x.status().Events.Pending <= 1
	})
	x.drained(time.Minute)
	x.t.Logf("all ended after %v", time.Since(begun).Round(time.Second))
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
	ends, wrong, should, alone := x.ends(), 0, uint64(0), 0
	kinds := map[string]int{}
	for id, hits := range x.sent {
		truth, size := "", uint64(x.size)
		switch {
		case hits > 0 && hits < size:
			truth = "partial"
		case hits > size:
			truth = "double"
		case hits == 0:
			truth = "dropped"
		}
		if kill, killed := x.kills[id]; killed && truth != "partial" && ends[id] == "partial" && kill > 0 {
			truth = "partial" // the worker had written a receipt and no usage, or all usage and not the last receipt
			alone++
		}
		if should += hits; truth == "dropped" {
			should += size // sent again
		}
		kinds[truth]++
		if ends[id] != truth {
			wrong++
			x.t.Logf("batch %s: %d of %d counted, concluded %q", id, hits, x.size, ends[id])
		}
	}
	assert.Zero(x.t, wrong, "wrong conclusions")
	all := x.hits() - uint64(x.size) // of the report that proved the applications
	assert.EqualValues(x.t, should, all, "nothing is counted twice by us, or lost")
	x.t.Logf("acknowledged %d in %d reports: counted once %d, dead with a reason %d, in reports named partial %d, named double %d; wrong conclusions %d, counted twice by us %d; the kill met nothing but a receipt in %d",
		len(x.sent)*x.size, len(x.sent), (kinds[""]+kinds["dropped"])*x.size, x.status().Events.Dead, kinds["partial"]*x.size, kinds["double"]*x.size,
		wrong, max(all, should)-should, alone)
	x.logTimes()
}

// logTimes logs how long it took until reports were known to be counted.
func (x *shown) logTimes() {
	times := slices.Sorted(maps.Values(x.took))
	x.t.Logf("seen by the sandbox after %v (median); known to be counted, by upper bound in seconds: %v",
		times[len(times)/2].Round(time.Millisecond), x.confirmedWithin())
}

// confirmedWithin is how many reports were known to be counted within so many seconds.
func (x *shown) confirmedWithin() (within []string) {
	for line := range strings.Lines(metrics(x.daemon)) {
		if bound, found := strings.CutPrefix(line, "reporterd_receipt_seconds_bucket{le="); found {
			within = append(within, strings.TrimSpace(strings.ReplaceAll(bound, "}", "")))
		}
	}
	return within
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
		t.Skip("takes 18 minutes, 16 of them by the rules: set REPORTERD_RECEIPTS=1; sender's TestReceiptEvidence is the same in fake time")
	}
	t.Run("worker killed", func(t *testing.T) {
		t.Parallel()
		x := showReceipts(t, 990)
		for range 50 {
			kill := rand.IntN(1000)
			id := x.report(map[string]any{"worker": map[string]any{"times": 1, "least": 900, "kill": kill}}, time.Second)
			x.kills[id] = kill
		}
		x.b.heal()
		x.ended(40 * time.Minute)
		x.judge()
	})
	t.Run("listener killed", func(t *testing.T) {
		t.Parallel()
		x := showReceipts(t, 20)
		lates := []string{"0s", "1s", "6s", "300s"}
		landed := 0
		for n := range 200 {
			lands := rand.IntN(4) == 0
			late := lates[n%len(lates)]
			x.report(map[string]any{"report": map[string]any{"times": 1, "close": true, "landed": lands, "late": late}}, 0)
			if lands {
				landed++
			}
			x.report(map[string]any{}, 0) // one that succeeds, so that the lane does not wait
		}
		x.b.heal()
		x.ended(40 * time.Minute)
		ended, once, twice := x.status(), 0, 0
		for i := range x.size {
			hits := x.b.usage()["1001"][application(i)]["hits"]
			assert.EqualValues(t, 401, hits, "each is counted once")
			once, twice = once+int(min(hits, 401)), twice+int(max(hits, 401)-401)
		}
		assert.Zero(t, ended.Events.Dead)
		reports := x.receipts().Receipts.Reports
		wrong := max(int(reports["dropped"]), 200-landed) - min(int(reports["dropped"]), 200-landed)
		assert.Zero(t, wrong, "each of which nothing had landed, and no other one, was dropped")
		t.Logf("200 answers were lost, %d reports had landed; %v", landed, reports)
		t.Logf("acknowledged %d: counted once %d, dead with a reason %d, named partial 0, named double 0; wrong conclusions %d, counted twice by us %d",
			401*x.size, once, ended.Events.Dead, wrong, twice)
		x.logTimes()
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
