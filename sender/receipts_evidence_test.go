package sender

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/receipt"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// trial is one report, what happens to it, and what became of it.
type trial struct {
	names  []string // an application for each event, which no other report names
	fault  string
	kill   int // transactions that the worker writes before it is killed; -1: it is not
	sealed time.Time
	ended  time.Time // when its last event was delivered or dead
	left   int       // events without an end
	dead   int
	said   map[string]bool // the ends that the log names
}

// evidence follows reports to their ends, and holds these against what the sandbox counted.
type evidence struct {
	*city
	random *rand.Rand
	trials []*trial

	mu sync.Mutex // guards the times and numbers of trials
	at map[spool.Position]*trial
}

// withEvidence runs a test with receipts whose reports are followed.
func withEvidence(t *testing.T, seed uint64, so sandbox.Options, test func(*evidence)) {
	e := &evidence{random: rand.New(rand.NewPCG(seed, 15)), at: map[spool.Position]*trial{}}
	receiptOptions(t, so, Options{Settled: e.settledOne}, false, func(c *city) {
		e.city = c
		test(e)
	})
}

// settledOne notes which events of a report have an end.
func (e *evidence) settledOne(b *spool.Batch, r spool.Resolution) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.at[b.ID.Position]; t != nil {
		t.left -= len(r.Delivered) + len(r.Dead)
		t.dead += len(r.Dead)
		if t.left == 0 {
			t.ended = time.Now()
		}
	}
}

// report seals one report of n events with the faults that it meets, and waits until it was sent.
func (e *evidence) report(n int, fault string, f sandbox.Faults) *trial {
	e.t.Helper()
	t := &trial{fault: fault, kill: -1, sealed: time.Now(), left: n, said: map[string]bool{}}
	for i := range n {
		t.names = append(t.names, fmt.Sprintf("t%d-%d", len(e.trials), i))
	}
	e.trials = append(e.trials, t)
	e.create(t.names...)
	return e.send(t, f)
}

func (e *evidence) send(t *trial, f sandbox.Faults) *trial {
	e.t.Helper()
	e.faults(f)
	for _, w := range f.Worker {
		if w.Kill != nil {
			t.kill = *w.Kill
		}
	}
	e.mu.Lock()
	e.at[spool.Position(e.spool.Counts().Accepted)+spool.Position(len(t.names))] = t
	e.mu.Unlock()
	before := e.sandbox.Calls().Faults
	e.seal("1001", t.names...)
	for range 600 { // until the fault has met it
		if e.wait(100 * time.Millisecond); e.sandbox.Calls().Faults > before || t.fault == "" {
			break
		}
	}
	e.faults(sandbox.Faults{})
	return t
}

// figures are what the issue asks for.
type evidenceFigures struct {
	reports, acknowledged       int
	once, dead, partial, double int // events
	unconfirmed                 int
	wrong, twiceByUs            int // reports
	receiptAlone                int // reports of which the fault met nothing but a receipt
	countedMedian, countedP99   time.Duration
	healedMedian, healedMost    time.Duration
}

// judge holds every end against what was counted.
func (e *evidence) judge() (f evidenceFigures) {
	e.readLog()
	usage := e.sandbox.Usage()["1001"]
	var counted, healed []time.Duration
	for _, t := range e.trials {
		f.reports++
		f.acknowledged += len(t.names)
		times := map[uint64]int{}
		for _, name := range t.names {
			times[usage[name]["hits"]]++
		}
		took := t.ended.Sub(t.sealed)
		switch {
		case t.said["dropped"]:
			healed = append(healed, took)
		case len(t.said) == 0:
			counted = append(counted, took)
		}
		f.add(e, t, times)
	}
	slices.Sort(counted)
	slices.Sort(healed)
	if n := len(counted); n > 0 {
		f.countedMedian, f.countedP99 = counted[n/2], counted[n*99/100]
	}
	if n := len(healed); n > 0 {
		f.healedMedian, f.healedMost = healed[n/2], healed[n-1]
	}
	return f
}

// add books one report's events. times are how many of its applications were counted how often.
func (f *evidenceFigures) add(e *evidence, t *trial, times map[uint64]int) {
	n := len(t.names)
	wrong, live := false, n-t.dead
	more := n - times[0] - times[1]
	switch {
	case t.said["unconfirmed"]:
		f.unconfirmed += live
	case t.said["double"]:
		f.double += live
		if f.receiptAlone++; more > 0 {
			f.receiptAlone--
		}
		wrong = times[0] > t.dead
	case t.said["partial"]:
		f.partial += live
		mixed := times[0] > t.dead && times[1] > 0
		alone := t.kill >= 0 && (times[1] == 0 || times[0] == 0) // a receipt is the first and the last that is written
		if alone {
			f.receiptAlone++
		}
		wrong = !mixed && !alone || more > 0
	default:
		f.once += times[1]
		wrong = times[0] != t.dead || more > 0
	}
	f.dead += t.dead
	if t.said["dropped"] && more > 0 {
		f.twiceByUs++
	}
	if wrong || t.left != 0 {
		f.wrong++
		e.t.Logf("wrong: %q, said %v, dead %d, without an end %d, applications by how often they are counted %v", t.fault, t.said, t.dead, t.left, times)
	}
}

// readLog takes the ends that the log names.
func (e *evidence) readLog() {
	for _, entry := range e.log.All() {
		text, _ := entry.ContextMap()["batch"].(string)
		id, err := spool.ParseBatchID(text)
		if t := e.at[id.Position]; err == nil && t != nil {
			for end, message := range endings {
				if entry.Message == message {
					t.said[end.String()] = true
				}
			}
			if entry.Message == countedLater {
				t.said["double"] = true
			}
		}
	}
}

func (f evidenceFigures) String() string {
	return strings.Join([]string{
		fmt.Sprintf("%d reports; events acknowledged %d = counted once %d + dead with a reason %d + named partial %d + named double %d + unconfirmed %d",
			f.reports, f.acknowledged, f.once, f.dead, f.partial, f.double, f.unconfirmed),
		fmt.Sprintf("wrong conclusions %d, counted twice by us %d, the fault met nothing but a receipt in %d reports", f.wrong, f.twiceByUs, f.receiptAlone),
		fmt.Sprintf("time to counted %v median, %v p99; time to healed %v median, %v at most", f.countedMedian.Round(time.Millisecond),
			f.countedP99.Round(time.Millisecond), f.healedMedian.Round(time.Second), f.healedMost.Round(time.Second)),
	}, "\n")
}

// TestReceiptEvidence: the worker is killed in jobs of 1000, slices are written twice, and listeners are killed whose reports landed
// at once, after 1 s, 6 s and 300 s, or not at all; a proxy answers with 202 on its own, and the backend's clock is off. Time is fake, the rules and the times of the backend are the real ones.
func TestReceiptEvidence(t *testing.T) {
	kills, listeners, slices, proxies, clocks := 4, 24, 4, 4, 3
	if os.Getenv("REPORTERD_RECEIPTS") != "" {
		kills, listeners, slices, proxies, clocks = 50, 200, 20, 20, 9
	}
	run := func(name string, trials int, one func(e *evidence, n int)) {
		t.Run(name, func(t *testing.T) {
			withEvidence(t, 1, sandbox.Options{}, func(e *evidence) {
				for n := range trials {
					one(e, n)
					e.report(20, "", sandbox.Faults{}) // one that succeeds
				}
				e.settled(3 * time.Hour)
				e.wait(20 * time.Minute) // for what lands late
				f := e.judge()
				t.Logf("%v", f)
				assert.Zero(t, f.wrong)
				assert.Zero(t, f.twiceByUs)
				assert.Equal(t, f.acknowledged, f.once+f.dead+f.partial+f.double+f.unconfirmed)
			})
		})
	}
	run("worker killed", kills, func(e *evidence, _ int) {
		e.report(receipt.MostTransactions, "kill", sandbox.Faults{Worker: []sandbox.WorkerFault{{Times: 1, Least: 900, Kill: e.below(1001)}}})
	})
	run("slice doubled", slices, func(e *evidence, _ int) {
		e.report(receipt.MostTransactions, "restart", sandbox.Faults{Worker: []sandbox.WorkerFault{{Times: 1, Least: 900, Restart: e.below(1001)}}})
	})
	run("listener killed", listeners, func(e *evidence, n int) {
		late := []time.Duration{0, time.Second, 6 * time.Second, 300 * time.Second}[n%4]
		lands := e.random.IntN(4) == 0
		e.report(20, fmt.Sprint("listener, landed ", lands, " after ", late),
			sandbox.Faults{Report: []sandbox.Fault{{Times: 1, Close: true, Landed: lands, Late: sandbox.Duration(late)}}})
	})
	run("answered by a proxy", proxies, func(e *evidence, n int) {
		body := []string{"", "<html>"}[n%2] // an empty one cannot be told from the backend's
		e.report(20, fmt.Sprintf("202 with the body %q", body), sandbox.Faults{Report: []sandbox.Fault{{Times: 1, Status: 202, Body: body}}})
	})
	run("clock wrong for a minute", clocks, func(e *evidence, n int) {
		off := []time.Duration{2 * time.Hour, -2 * time.Hour, -25 * time.Hour}[n%3]
		e.report(20, fmt.Sprint("clock ", off), sandbox.Faults{Backend: &sandbox.Backend{Clock: sandbox.Duration(off)}})
	})
}

func (e *evidence) below(n int) *int {
	v := e.random.IntN(n)
	return &v
}

// A receipt application that is deleted voids the reports that carry it until that is noticed. They wait until it is there again, and are
// sent again then: before, nothing says what was counted of them.
func TestReportsWaitForTheirReceiptApplication(t *testing.T) {
	withReceipts(t, sandbox.Options{NegativeCache: minute, PositiveCache: 10 * time.Second, WorkerDelay: 20 * time.Second}, func(c *city) {
		c.create(apps(40)...)
		c.seal("1001", apps(20)...)
		c.settled(time.Minute)
		deleted := sandbox.ApplicationChange{ServiceID: "1001", AppID: "receipt-first", State: "deleted"}
		require.NoError(t, c.sandbox.PutApplications(deleted))
		c.seal("1001", apps(40)[20:]...)
		c.wait(10 * time.Minute)
		require.NotZero(t, c.sandbox.Calls().DiscardedBatches)
		assert.EqualValues(t, 20, c.spool.Counts().Pending)
		c.setUp(c.sender.keepers["1001"].config)
		c.settled(2 * time.Hour)
		assert.Equal(t, map[uint64]int{1: 40}, c.each(apps(40)))
		assert.Zero(t, c.sender.Stats().Receipts.Ends["unconfirmed"])
	})
}
