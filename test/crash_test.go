package test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The ways to die.
const (
	inStartUp     = "in start-up"
	underLoad     = "under load"
	whileDraining = "while draining"
	inFlush       = "in a flush"
	inGoodOrder   = "in good order" // the one that is no kill
)

const (
	crashCyclesVariable = "REPORTERD_CRASH_CYCLES"
	seedVariable        = "REPORTERD_SEED"

	crashCycles     = 12 // kills, by default
	killsPerHistory = 50 // before a history is judged and the next begins with an empty disk
	crashProducers  = 6
)

// TestCrash kills the daemon again and again, at random moments, under load from producers that know
// what was acknowledged and in front of a backend that sometimes fails after it has counted. At the end
// of each history one more life drains what is left, and the checker compares. In most lives the machine answers
// with errors for a while, now and then (unrest): nothing may be missing for that either.
func TestCrash(t *testing.T) {
	cycles := number(t, crashCyclesVariable, crashCycles)
	seed := uint64(number(t, seedVariable, int(time.Now().UnixNano()%1_000_000)))
	t.Logf("%d cycles (%s), seed %d (%s)", cycles, crashCyclesVariable, seed, seedVariable)
	var sum figures
	for done, n := 0, uint64(0); done < cycles && !t.Failed(); n++ {
		kills := min(killsPerHistory, cycles-done)
		t.Run(fmt.Sprintf("history=%d", n), func(t *testing.T) {
			sum.add(newHistory(t, seed+n).run(kills))
		})
		done += kills
	}
	t.Logf("in all: %v", sum)
}

// number reads a whole number from the environment.
func number(t testing.TB, variable string, fallback int) int {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return fallback
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, variable)
	return n
}

// history is one data directory, one backend, and one daemon after the other.
type history struct {
	t       *testing.T
	rand    *rand.Rand
	backend *backend
	witness *witness
	load    *workload
	config  string
	dataDir string
	life    int
	killed  map[int]bool // by life; false: it ended in good order
	deaths  map[string]int

	calm     bool           // the machine answers with no errors
	troubles map[string]int // by kind
}

func newHistory(t *testing.T, seed uint64) *history {
	h := &history{t: t, rand: rand.New(rand.NewPCG(seed, 0)), killed: map[int]bool{}, deaths: map[string]int{}, troubles: map[string]int{}}
	h.backend = sandbox(t)
	h.witness = newWitness(h.backend.url, seed)
	flush := []string{"20ms", "50ms", "200ms"}[h.rand.IntN(3)]
	s := newSettings(t, h.backend.url).
		set("batch.flush_interval", flush).
		set("backend.timeout", "5s").
		set("sender.max_in_flight", maxInFlight)
	h.config, h.dataDir = s.write(t), s.dataDir()
	h.load = produce(t.Context(), crashProducers, seed)
	return h
}

// drainBound is how long the last life may take to deliver everything. Faults before it was sworn in leave
// questions and lanes in their backoff, each of up to half a minute, several one behind the other.
const drainBound = 3 * time.Minute

// run goes on until the daemon was killed so many times, then drains and judges.
func (h *history) run(kills int) figures {
	for h.kills() < kills {
		h.live()
	}
	final, leave := h.begin()
	defer leave()
	final.ready()
	h.load.aim(final.traffic)
	pause(h.t.Context(), 50*time.Millisecond)
	h.load.halt()
	h.witness.swearIn()
	s := final.drained(drainBound)
	f := h.judge(s)
	if h.troubles[noDescriptors] == 0 { // a start without one for ledger.db goes on without a ledger, which says what it missed
		h.witness.balance(h.t, final)
	}
	final.stop()
	return f
}

// kills is how many lives ended by our hand.
func (h *history) kills() int { return h.life - h.deaths[inGoodOrder] - h.deaths[startFailed] }

// begin starts the next life, with a witness of its own.
func (h *history) begin() (d *daemon, leave func()) {
	h.life++
	url, leave := h.witness.attend(h.t, h.life)
	return launch(h.t, h.config, "--backend-url", url), leave
}

// live is one life and its death.
func (h *history) live() {
	d, leave := h.begin()
	u := h.disturb(d)
	defer u.calm() // a test that ended in here
	manner := h.manner()
	h.killed[h.life] = true
	switch {
	case manner == inStartUp:
		pause(h.t.Context(), h.moment(80*time.Millisecond))
	case h.comesUp(d):
		u.ready.Store(true)
		h.load.aim(d.traffic)
		pause(h.t.Context(), h.moment(300*time.Millisecond))
		if manner == inGoodOrder {
			u.calm()
		}
		h.die(d, manner)
	default:
		require.NotZero(h.t, d.exit(time.Second), "exit status of a start that failed:\n%s", tail(d.logged(), 20))
		manner = startFailed
	}
	h.deaths[manner]++
	d.kill()
	u.calm()
	h.load.aim("")
	leave()
	h.autopsy(d)
}

// manner draws how a life ends.
func (h *history) manner() string {
	switch n := h.rand.IntN(100); {
	case n < 45:
		return underLoad
	case n < 65:
		return inStartUp
	case n < 80:
		return whileDraining
	case n < 92:
		return inFlush
	default:
		return inGoodOrder
	}
}

// die does what comes before the kill.
func (h *history) die(d *daemon, manner string) {
	switch manner {
	case whileDraining:
		d.signal(syscall.SIGTERM)
		pause(h.t.Context(), h.moment(40*time.Millisecond))
	case inFlush:
		go func() { // ends with the daemon
			_, _ = call(testClient, "POST", d.admin+"/-/flush", "", nil)
		}()
		pause(h.t.Context(), h.moment(30*time.Millisecond))
	case inGoodOrder:
		h.load.aim("")
		d.stop()
		h.killed[h.life] = false
	}
}

// moment is a random time up to most.
func (h *history) moment(most time.Duration) time.Duration {
	return time.Duration(h.rand.Int64N(int64(most)))
}

// runtimeStartFailed is what the Go runtime prints when it finds no descriptor for itself: then main has not begun.
var runtimeStartFailed = regexp.MustCompile(`^runtime: (eventfd|epollcreate1?) failed with 24`)

// autopsy makes sure that nobody died but by our hand.
func (h *history) autopsy(d *daemon) {
	h.t.Helper()
	log := strings.Join(d.logged(), "\n")
	if runtimeStartFailed.MatchString(log) {
		return
	}
	for _, word := range []string{"panic: ", "fatal error: ", "DATA RACE"} {
		require.NotContains(h.t, log, word, "life %d", h.life)
	}
}

// judge compares the whole state with what is permitted.
func (h *history) judge(s status) figures {
	h.t.Helper()
	l, e := h.load.ledger.snapshot(), s.Events
	h.witness.mu.Lock()
	defer h.witness.mu.Unlock()
	v := check(l, h.witness, h.backend.usage().counters(), h.killed)
	for _, problem := range v.problems[:min(20, len(v.problems))] {
		h.t.Error(problem)
	}
	assert.LessOrEqual(h.t, len(v.problems), 20, "problems in all")
	assert.GreaterOrEqual(h.t, e.Accepted, uint64(l.kept.events), "accepted covers what was acknowledged")
	assert.LessOrEqual(h.t, e.Accepted, uint64(l.kept.events+l.doubted.events), "accepted is covered by what was sent")
	assert.Zero(h.t, e.Dead, "dead letters")
	assert.Zero(h.t, e.Lost, "lost without damage")
	assert.LessOrEqual(h.t, v.excess, v.unclear)
	assert.LessOrEqual(h.t, v.unclear, e.Ambiguous, "every attempt that nobody knew about was called ambiguous")
	c := h.backend.calls()
	assert.Zero(h.t, c.DiscardedBatches, "batches voided by the backend")
	f := figures{lives: h.life, kills: h.kills() - 1, acknowledged: l.kept.events, doubted: l.doubted.events,
		refused: l.refused, reports: len(h.witness.reports), repeated: v.repeated, reopened: v.reopened, excess: v.excess, ambiguous: e.Ambiguous}
	h.t.Logf("%v; deaths %v; troubles %v", f, h.deaths, h.troubles)
	return f
}

// figures are what a crash run has to show.
type figures struct {
	lives, kills                   int
	acknowledged, doubted, refused int
	reports, repeated, reopened    int
	excess, ambiguous              uint64
}

func (f *figures) add(g figures) {
	f.lives, f.kills = f.lives+g.lives, f.kills+g.kills
	f.acknowledged, f.doubted, f.refused = f.acknowledged+g.acknowledged, f.doubted+g.doubted, f.refused+g.refused
	f.reports, f.repeated, f.reopened = f.reports+g.reports, f.repeated+g.repeated, f.reopened+g.reopened
	f.excess, f.ambiguous = f.excess+g.excess, f.ambiguous+g.ambiguous
}

// String names every figure.
func (f figures) String() string {
	return fmt.Sprintf("%d lives, %d kills; events: %d acknowledged, 0 of them missing when this passes, %d in doubt; %d requests refused; "+
		"reports: %d, %d counted more than once, %d of those answered at the moment of a kill (%d events, all explained; %d were called ambiguous)",
		f.lives, f.kills, f.acknowledged, f.doubted, f.refused, f.reports, f.repeated, f.reopened, f.excess, f.ambiguous)
}
