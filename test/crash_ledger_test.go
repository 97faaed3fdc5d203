package test

import (
	"testing"
	"time"
)

const (
	crashLedgerVariable = "REPORTERD_CRASH_LEDGER"
	crashLedgerKills    = 3 // by default
)

// TestCrashLedger holds the ledger against what landed after every kill, cell by cell: behind each life that was killed
// under load comes a quiet one, in which everything is delivered and booked, and that is killed where it stands.
func TestCrashLedger(t *testing.T) {
	t.Parallel()
	kills := number(t, crashLedgerVariable, crashLedgerKills)
	seed := uint64(number(t, seedVariable, int(time.Now().UnixNano()%1_000_000)))
	t.Logf("%d kills (%s), seed %d (%s)", kills, crashLedgerVariable, seed, seedVariable)
	h := newHistory(t, seed)
	h.calm = true
	compared := 0
	for n := 1; n <= kills && !t.Failed(); n++ {
		h.live()
		compared += h.rest(n == kills)
	}
	t.Logf("%d cells compared after %d kills; deaths %v", compared, 2*kills, h.deaths)
}

// rest is a quiet life: it delivers what is left, and the ledger balances. It returns how many cells that has. Producers
// are let go in the last one, while somebody acknowledges.
func (h *history) rest(last bool) (compared int) {
	h.witness.swear(true)
	defer h.witness.swear(false)
	d, leave := h.begin()
	defer leave()
	d.ready()
	if last {
		h.load.aim(d.traffic)
		h.load.halt()
	}
	d.drained(drainBound)
	h.witness.balance(h.t, d)
	compared = len(d.cells())
	h.killed[h.life] = true
	h.deaths["at rest"]++
	d.kill()
	h.autopsy(d)
	return compared
}
