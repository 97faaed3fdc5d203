package test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

const (
	trialProducers = 4
	trialRest      = 20 * time.Millisecond // of a producer behind each request: strace is slow
	trialBound     = 40 * time.Second      // for what has to come to an end once the machine is well again
	ghostEvents    = 20                    // of applications that the backend does not know
	ghostName      = "ghost"
)

// trial is a data directory and one daemon after the other on it, under load from producers that know what was
// acknowledged, in front of a backend without faults. A test makes something else fail, and the trial judges.
type trial struct {
	t       *testing.T
	backend *backend
	witness *witness
	load    *workload
	config  string
	dataDir string
	leave   func()       // ends the witness of the life that runs
	killed  map[int]bool // lives that were killed, or stopped while something failed
	ghosts  int          // events of applications that the backend does not know
	row     faultRow
}

func newTrial(t *testing.T, s settings, name string, seed uint64) *trial {
	f := &trial{t: t, killed: map[int]bool{}, row: faultRow{name: name}, leave: func() {}}
	f.backend = sandbox(t)
	f.witness = newWitness(f.backend.url, seed)
	f.witness.swearIn()
	s.set("backend.url", f.backend.url).
		set("backend.timeout", "5s").
		set("stop_timeout", "6s").
		set("sender.max_in_flight", maxInFlight).
		set("sender.negative_cache", "1s")
	f.config, f.dataDir = s.write(t), s.dataDir()
	ctx, cancel := context.WithTimeout(t.Context(), 3*trialBound)
	t.Cleanup(cancel)
	f.load = &workload{ledger: newLedger(), rest: trialRest}
	f.load.begin(ctx, trialProducers, seed)
	return f
}

// serve starts the first life, and the load.
func (f *trial) serve() *daemon {
	d := f.begin(launch)
	d.ready()
	f.load.aim(d.traffic)
	pause(f.t.Context(), 300*time.Millisecond)
	return d
}

// finish lets the last life work for a moment, drains it, starts it once more, and judges.
func (f *trial) finish(d *daemon) {
	f.load.aim(d.traffic)
	pause(f.t.Context(), 200*time.Millisecond)
	f.load.halt()
	f.drain(d)
	f.judge(f.again(d))
}

// rand is a source of requests of the test's own.
func (f *trial) rand() *rand.Rand { return rand.New(rand.NewPCG(uint64(f.row.lives), 99)) }

// begin starts the next life, with a witness of its own.
func (f *trial) begin(launch func(testing.TB, string, ...string) *daemon) *daemon {
	f.leave()
	f.row.lives++
	url, leave := f.witness.attend(f.t, f.row.lives)
	f.leave = leave
	return launch(f.t, f.config, "--backend-url", url)
}

// next is the life after one that ended.
func (f *trial) next(d *daemon) *daemon {
	eventually(f.t, trialBound, "the process ends", d.gone)
	d = f.begin(launch)
	d.ready()
	return d
}

// haunt sends usage of applications that the backend does not know: it becomes dead letters.
func (f *trial) haunt(d *daemon) {
	events := make([]event, ghostEvents)
	for i := range events {
		events[i] = hit("1001", fmt.Sprintf("%s-%d", ghostName, i%4))
	}
	d.send(events...)
	f.ghosts += ghostEvents
}

// observe lets a fault last, and returns how many events were acknowledged in the last two thirds of that time. It notes
// whether /readyz answered 503.
func (f *trial) observe(d *daemon, during time.Duration) (late int) {
	client := newClient()
	client.Timeout = time.Second
	client.Transport.(*http.Transport).DisableKeepAlives = true // so that connections are accepted
	settled, early := time.Now().Add(during/3), -1
	for end := time.Now().Add(during); time.Now().Before(end); pause(f.t.Context(), 50*time.Millisecond) {
		if got, err := call(client, http.MethodGet, d.admin+"/readyz", "", nil); err == nil && got.status == http.StatusServiceUnavailable {
			f.row.unready = true
		}
		if early < 0 && time.Now().After(settled) {
			early = f.load.ledger.snapshot().kept.events
		}
	}
	return f.load.ledger.snapshot().kept.events - max(0, early)
}

// recovered returns the daemon that acknowledges again: the same, or when that has exited, the next.
func (f *trial) recovered(d *daemon) *daemon {
	f.t.Helper()
	client := newClient()
	acknowledges := func() bool {
		got, err := call(client, http.MethodGet, d.admin+"/readyz", "", nil)
		return err == nil && got.status == http.StatusOK
	}
	eventually(f.t, trialBound, "the daemon is ready again, or exits so that it is started again", func() bool {
		return d.gone() || acknowledges()
	})
	if d.gone() {
		assert.NotContains(f.t, []int{0, 2}, d.cmd.ProcessState.ExitCode(), "exit status")
		f.killed[f.row.lives] = true
		return f.next(d)
	}
	return d
}

// drain waits until nothing is pending.
func (f *trial) drain(d *daemon) {
	ctx, cancel := context.WithTimeout(f.t.Context(), trialBound)
	defer cancel()
	assert.True(f.t, poll(ctx, func() bool {
		_, _ = call(testClient, http.MethodPost, d.admin+"/-/flush", "", nil)
		f.row.events = d.status()
		return f.row.events.Events.Pending == 0
	}), "drained within %v of the end of the fault: %+v", trialBound, f.row.events)
}

// again stops the daemon and starts it once more, which changes nothing.
func (f *trial) again(d *daemon) *daemon {
	before := d.status()
	d.stop()
	d = f.begin(launch)
	d.ready()
	f.row.events = d.status()
	assert.Equal(f.t, before.Events, f.row.events.Events, "the figures survive a restart")
	return d
}

// judge compares everything with what is permitted.
func (f *trial) judge(d *daemon) {
	l, e := f.load.ledger.snapshot(), f.row.events.Events
	arrived := f.exorcise()
	func() {
		f.witness.mu.Lock()
		defer f.witness.mu.Unlock()
		counted := f.backend.usage().counters()
		maps.DeleteFunc(counted, func(k key, _ uint64) bool { return strings.HasPrefix(k.app, ghostName) })
		v := check(l, f.witness, counted, f.killed)
		f.row.problems, f.row.excess = v.problems, v.excess
		assert.LessOrEqual(f.t, v.excess, v.unclear)
	}()
	f.row.acked, f.row.doubted, f.row.ambiguous = l.kept.events+f.ghosts, l.doubted.events, e.Ambiguous
	assert.Empty(f.t, f.row.problems)
	assert.GreaterOrEqual(f.t, e.Accepted, uint64(f.row.acked), "accepted covers what was acknowledged")
	assert.LessOrEqual(f.t, e.Accepted, uint64(f.row.acked+f.row.doubted), "accepted is covered by what was sent")
	assert.Zero(f.t, e.Lost, "lost without damage")
	assert.LessOrEqual(f.t, e.Dead, uint64(f.ghosts), "dead letters")
	assert.GreaterOrEqual(f.t, int(e.Dead)+arrived, f.ghosts, "usage of unknown applications is dead, or was reported")
	assert.LessOrEqual(f.t, f.row.excess, e.Ambiguous, "every attempt that nobody knew about was called ambiguous")
	for _, word := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
		assert.NotContains(f.t, strings.Join(d.logged(), "\n"), word)
	}
	if f.ghosts == 0 && e.Lost == 0 {
		f.witness.balance(f.t, d)
	}
}

// exorcise takes the unknown applications out of what the witness saw, and returns how many of their events arrived.
func (f *trial) exorcise() (arrived int) {
	f.witness.mu.Lock()
	defer f.witness.mu.Unlock()
	for _, s := range f.witness.reports {
		for k, n := range s.usage {
			if strings.HasPrefix(k.app, ghostName) {
				arrived += int(n)
				delete(s.usage, k)
			}
		}
	}
	return arrived
}
