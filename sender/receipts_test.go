package sender

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/sender/receipt"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// withReceipts runs a test with receipts for service 1001, set up in the sandbox.
func withReceipts(t *testing.T, so sandbox.Options, test func(*city)) {
	receiptOptions(t, so, Options{}, false, test)
}

// receiptOptions is withReceipts with further options; by user key, if the service's applications are to be called by user key.
func receiptOptions(t *testing.T, so sandbox.Options, o Options, userKeys bool, test func(*city)) {
	o.Receipts = map[string]Receipts{"1001": {}}
	o.OnAmbiguous = ReceiptAmbiguous
	r := Receipts{}
	for n := range 16 {
		r.Metrics = append(r.Metrics, fmt.Sprint("r", n))
	}
	for a, name := range placeNames {
		r.Applications[a] = threescale.Application{ID: "receipt-" + name}
		if userKeys {
			r.Applications[a] = threescale.Application{UserKey: "receipt-" + name}
		}
	}
	o.Receipts["1001"] = r
	inCity(t, so, o, proof.Options{}, 200, func(c *city) {
		c.setUp(r)
		test(c)
	})
}

// setUp makes the receipt metrics and applications.
func (c *city) setUp(r Receipts) {
	c.t.Helper()
	var metrics []sandbox.Metric
	var limits []sandbox.Limit
	for _, name := range r.Metrics {
		metrics = append(metrics, sandbox.Metric{Name: name})
		limits = append(limits, sandbox.Limit{Metric: name, Period: "eternity", Max: receipt.Most})
	}
	service := sandbox.ServiceChange{ID: "1001", Metrics: metrics}
	if r.Applications[0].UserKey != "" {
		service.BackendVersion = "1"
	}
	require.NoError(c.t, c.sandbox.PutServices(service))
	for n, a := range r.Applications {
		made := sandbox.ApplicationChange{ServiceID: "1001", AppID: "receipt-" + placeNames[n], Limits: &limits}
		if a.UserKey != "" {
			made.UserKey = &a.UserKey
		}
		require.NoError(c.t, c.sandbox.PutApplications(made))
	}
}

// restart ends the sender and begins another one over the same disk, as after a kill: what was in memory is gone.
func (c *city) restart() {
	c.t.Helper()
	c.stop()
	s := c.sender
	client := s.client
	c.proofs = proof.New(proof.Options{})
	c.prober = proof.NewProber(client, c.proofs, 200)
	require.NoError(c.t, c.spool.Close())
	var err error
	c.spool, _, err = spool.Open(spool.Options{Dir: "data", FS: c.disk, SegmentBytes: 1 << 20})
	require.NoError(c.t, err)
	o := s.options
	o.Proofs, o.Prober = c.proofs, c.prober
	o.Spool, o.Client, o.Credentials, o.Log = c.spool, client, c.credentials, zap.New(s.log.Core())
	c.sender = New(o)
	ctx, cancel := context.WithCancel(c.t.Context())
	ended := make(chan error, 2)
	go func() { ended <- c.sender.Run(ctx) }()
	go func() { ended <- c.prober.Run(ctx) }()
	c.stop = sync.OnceFunc(func() {
		cancel()
		assert.NoError(c.t, <-ended)
		assert.NoError(c.t, <-ended)
	})
}

// settled waits until nothing is pending, at most so long.
func (c *city) settled(most time.Duration) time.Duration {
	c.t.Helper()
	began := time.Now()
	for c.spool.Counts().Pending > 0 && time.Since(began) < most {
		c.wait(time.Second)
	}
	require.Zero(c.t, c.spool.Counts().Pending, "%v", c.sender.Stats().Receipts)
	return time.Since(began)
}

// each is how often each of the applications is counted.
func (c *city) each(names []string) map[uint64]int {
	usage, times := c.sandbox.Usage()["1001"], map[uint64]int{}
	for _, name := range names {
		times[usage[name]["hits"]]++
	}
	return times
}

// faults sets the sandbox's faults.
func (c *city) faults(f sandbox.Faults) {
	c.t.Helper()
	require.NoError(c.t, c.sandbox.SetFaults(f))
}

func TestDeliveredMeansCounted(t *testing.T) {
	for _, n := range []int{1, 9, 10, 398, 399, 500, 996, 1000} {
		withReceipts(t, sandbox.Options{WorkerDelay: 3 * time.Second}, func(c *city) {
			c.create(apps(n)...)
			c.seal("1001", apps(n)...)
			c.wait(2 * time.Second)
			assert.EqualValues(t, n, c.spool.Counts().Pending, "3scale has accepted it, and not counted it")
			took := c.settled(time.Minute)
			assert.Greater(t, took, 5*time.Second)
			assert.Less(t, took, 40*time.Second)
			assert.Equal(t, map[uint64]int{1: n}, c.each(apps(n)))
			assert.EqualValues(t, n, c.spool.Counts().Delivered)
			r := c.sender.Stats().Receipts
			assert.EqualValues(t, n, r.Ends["counted"].Events)
			assert.Zero(t, c.spool.Counts().Ambiguous)
		})
	}
}

// Without receipts nothing rides along, and what 3scale accepted is delivered.
func TestOffMeansOff(t *testing.T) {
	inCity(t, sandbox.Options{WorkerDelay: time.Hour}, Options{}, proof.Options{}, 200, func(c *city) {
		c.create(apps(500)...)
		c.seal("1001", apps(500)...)
		c.wait(20 * time.Second)
		assert.EqualValues(t, 500, c.spool.Counts().Delivered)
		calls := c.sandbox.Calls()
		assert.EqualValues(t, 500, calls.Transactions)
		assert.Less(t, calls.LargestBytes, int64(500*120))
	})
}

// An application, a metric or a user key that is deleted under load voids reports for a minute, since it is proven. They are sent
// again without it.
func TestDeletedUnderLoad(t *testing.T) {
	for _, what := range []string{"application", "metric", "user key"} {
		so := sandbox.Options{NegativeCache: minute, PositiveCache: minute}
		receiptOptions(t, so, Options{}, what == "user key", func(c *city) { c.deletedUnderLoad(what) })
	}
}

func (c *city) deletedUnderLoad(what string) {
	const concerned, applications, rounds = 7, 50, 40
	c.create(apps(applications)...)
	for _, name := range apps(applications) {
		require.NoError(c.t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: name, UserKey: &name}))
	}
	for i := range rounds { // a report every 5 s
		if i == 5 {
			c.deleteUpstream(what, fmt.Sprint("app", concerned))
		}
		var all []spool.Transaction
		for n, name := range apps(applications) {
			t := of(id(name), "hits")
			if what == "metric" && n == concerned {
				t = of(id(name), "other")
			}
			if what == "user key" {
				t.Application = threescale.Application{UserKey: name}
			}
			all = append(all, t)
		}
		c.sealAll("1001", all...)
		c.wait(5 * time.Second)
	}
	voided := c.sandbox.Calls().DiscardedBatches
	took := c.settled(30 * time.Minute)
	c.t.Logf("%s: %d reports voided after their 202, all healed %v after the last one; %v", what, voided, took, c.sender.Stats().Receipts.Ends)
	assert.NotZero(c.t, voided)
	usage := c.sandbox.Usage()["1001"]
	for n, name := range apps(applications) {
		if n != concerned {
			assert.EqualValues(c.t, rounds, usage[name]["hits"], name)
		}
	}
	counts := c.spool.Counts()
	assert.EqualValues(c.t, rounds, counts.Dead+usage[fmt.Sprint("app", concerned)]["hits"], "counted before, dead after")
	assert.EqualValues(c.t, rounds*applications, counts.Dead+counts.Delivered)
	for _, d := range c.dead() {
		assert.Contains(c.t, []string{"application_not_found", "metric_invalid", "user_key_invalid"}, d.Reason.Code)
	}
	assert.Zero(c.t, c.sender.Stats().Receipts.Ends["unconfirmed"])
}

// deleteUpstream deletes an application, the metric "other", or makes a new user key for an application.
func (c *city) deleteUpstream(what, app string) {
	c.t.Helper()
	switch what {
	case "metric":
		require.NoError(c.t, c.sandbox.PutServices(sandbox.ServiceChange{ID: "1001", DeletedMetrics: []string{"other"}}))
	case "user key":
		another := "another"
		require.NoError(c.t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: app, UserKey: &another}))
	default:
		require.NoError(c.t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: app, State: "deleted"}))
	}
}

// The worker is killed in jobs, runs some again, and sends slices twice; answers are lost, and reports land late; and the
// daemon is killed meanwhile. Every event has its end, and none is counted twice by us.
func TestEveryEventHasItsEnd(t *testing.T) {
	for seed := range uint64(2) {
		withReceipts(t, sandbox.Options{}, func(c *city) {
			random := rand.New(rand.NewPCG(seed, 15))
			const reports = 25
			doubled := 0
			sizes := []int{5, 30, 30, 450}
			sent := map[string][]string{}
			for i := range reports {
				names := make([]string, sizes[random.IntN(len(sizes))])
				for n := range names {
					names[n] = fmt.Sprintf("b%d-%d", i, n)
				}
				sent[fmt.Sprint(i)] = names
				c.create(names...)
			}
			at := func(n int) *int { v := random.IntN(n); return &v }
			for i := range reports {
				f := sandbox.Faults{}
				names := sent[fmt.Sprint(i)]
				switch random.IntN(8) {
				case 0:
					f.Worker = append(f.Worker, sandbox.WorkerFault{Times: 1, Least: 5, Kill: at(len(names))})
				case 1:
					doubled++
					f.Worker = append(f.Worker, sandbox.WorkerFault{Times: 1, Least: 5, Fail: at(len(names))})
				case 2:
					doubled++
					f.Worker = append(f.Worker, sandbox.WorkerFault{Times: 1, Least: 5, Restart: at(len(names))})
				case 3:
					late := []time.Duration{0, time.Second, 6 * time.Second, 300 * time.Second}[random.IntN(4)]
					f.Report = append(f.Report, sandbox.Fault{Times: 1, Close: true, Landed: true, Late: sandbox.Duration(late)})
				case 4:
					f.Report = append(f.Report, sandbox.Fault{Times: 1, Close: true})
				case 5:
					f.Report = append(f.Report, sandbox.Fault{Times: 1, Status: 502, Landed: random.IntN(2) == 0})
				}
				c.faults(f)
				c.seal("1001", names...)
				c.wait(time.Duration(random.IntN(20_000)) * time.Millisecond)
				if random.IntN(6) == 0 {
					c.restart()
				}
			}
			c.faults(sandbox.Faults{})
			c.settled(3 * time.Hour)
			c.wait(10 * time.Minute)
			times := map[uint64]int{}
			wrong := 0
			for _, names := range sent {
				for n, k := range c.each(names) {
					times[n] += k
				}
				if once := c.each(names); once[1] != len(names) {
					wrong++
				}
			}
			r := c.sender.Stats().Receipts
			t.Logf("seed %d: applications by how often they are counted: %v; reports not counted once: %d; since the last restart %v, late %d", seed, times, wrong, r.Ends, r.Late)
			assert.Zero(t, c.spool.Counts().Dead)
			assert.LessOrEqual(t, c.log.FilterMessage(endings[receipt.Double]).Len(), doubled, "by jobs that failed and slices that were sent again, and never by us")
			assert.Zero(t, c.log.FilterMessage(countedLater).FilterField(zap.Bool("sent_again", true)).Len())
			assert.LessOrEqual(t, wrong, c.named(), "each is named as partial, double or unknown; beside them those of which a receipt alone was not written, or twice")
		})
	}
}

// named is how many reports the log names as counted in part, more often than once, or not known.
func (c *city) named() int {
	seen := map[string]bool{}
	for _, entry := range c.log.All() {
		if m := entry.Message; m == endings[receipt.Partial] || m == endings[receipt.Double] || m == endings[receipt.Unconfirmed] || m == countedLater {
			seen[fmt.Sprint(entry.ContextMap()["batch"])] = true
		}
	}
	return len(seen)
}

// A receipt application or metric that is gone is noticed before it voids reports; they go on without receipts.
func TestReceiptApplicationIsGone(t *testing.T) {
	withReceipts(t, sandbox.Options{NegativeCache: minute, PositiveCache: minute}, func(c *city) {
		c.create(apps(300)...)
		c.seal("1001", apps(100)...)
		c.settled(time.Minute)
		c.wait(5 * time.Minute)
		require.NoError(t, c.sandbox.PutApplications(sandbox.ApplicationChange{ServiceID: "1001", AppID: "receipt-first", State: "deleted"}))
		c.wait(2 * time.Minute)
		c.seal("1001", apps(300)[100:200]...)
		c.settled(time.Minute)
		assert.Equal(t, 1, c.log.FilterMessageSnippet("reports carry no receipts").Len())
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
		assert.Equal(t, map[uint64]int{1: 200}, c.each(apps(200)))

		c.setUp(c.sender.keepers["1001"].config)
		c.wait(3 * time.Minute)
		assert.Equal(t, 1, c.log.FilterMessageSnippet("are there again").Len())
		c.seal("1001", apps(300)[200:]...)
		c.settled(5 * time.Minute)
		assert.EqualValues(t, 200, c.sender.Stats().Receipts.Ends["counted"].Events)
	})
}

// What is sent stays in doubt while the worker stands still, however long; then it is counted, once.
func TestWorkerStandsStill(t *testing.T) {
	withReceipts(t, sandbox.Options{}, func(c *city) {
		c.create(apps(20)...)
		c.faults(sandbox.Faults{Worker: []sandbox.WorkerFault{{Stop: true}}})
		for range 30 {
			c.seal("1001", apps(20)...)
			c.wait(time.Minute)
		}
		assert.Zero(t, c.spool.Counts().Delivered)
		begun := time.Now()
		lanes, err := c.sender.Flush(c.t.Context(), c.spool.Readable())
		assert.NoError(t, err)
		assert.Less(t, time.Since(begun), 10*time.Second, "a flush does not wait for receipts")
		if assert.Len(t, lanes, 1) {
			assert.Equal(t, FlushWaiting, lanes[0].Result)
		}
		c.restart()
		c.faults(sandbox.Faults{})
		c.settled(10 * time.Minute)
		assert.Equal(t, map[uint64]int{30: 20}, c.each(apps(20)))
		synctest.Wait()
		assert.Zero(t, c.spool.Counts().Ambiguous)
	})
}

// A report that was dropped and counted after it was sent again may still land a first time. Its place is kept, also over a kill: what
// lands there is not taken for another report.
func TestPlaceOfAReportSentAgainIsKeptOverAKill(t *testing.T) {
	withReceipts(t, sandbox.Options{}, func(c *city) {
		kept := func() (reserved []receipt.Reserved) {
			k := c.sender.keepers["1001"]
			k.mu.Lock()
			defer k.mu.Unlock()
			return k.book.Reserved(spool.BatchID.String, time.Now())
		}
		c.create(apps(20)...)
		c.wait(20 * time.Minute)
		c.faults(sandbox.Faults{Report: []sandbox.Fault{{Times: 1, Close: true}}})
		c.seal("1001", apps(20)...)
		c.settled(2 * time.Hour)
		require.EqualValues(t, 1, c.sender.Stats().Receipts.Ends["dropped"].Reports)
		require.EqualValues(t, 1, c.sender.Stats().Receipts.Ends["counted"].Reports)
		require.Len(t, kept(), 1)
		c.restart()
		assert.Len(t, kept(), 1)
	})
}
