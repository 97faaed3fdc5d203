package receipt

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// modelFigures are sums over histories.
type modelFigures struct {
	batches, transactions, kills int
	ends                         map[End]int
	once, dead, named, beyond    int // transactions
}

// history is one life of a daemon and a backend, by one seed. It returns what is wrong.
func history(seed uint64, figures *modelFigures, break_ func(*Rules)) []string {
	random := rand.New(rand.NewPCG(seed, 15))
	const applications, metrics = 6, 3
	start := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	b := newModelBackend(random, 1+random.IntN(4), 1+random.IntN(3), start)
	if random.IntN(4) > 0 {
		b.trouble = modelTrouble{kill: random.Float64() * .2, fail: random.Float64() * .2, restart: random.Float64() * .2, stall: random.Float64() * .2}
		if random.IntN(3) == 0 {
			b.trouble.fail = .7
		}
	}
	rules := Rules{}
	if break_ != nil {
		break_(&rules)
	}
	d := newModelDaemon(random, b, rules)
	d.held = []time.Duration{0, time.Second, 6 * time.Second, 300 * time.Second}
	if random.IntN(3) == 0 { // beyond what was seen: of such a report nothing can be told, and of all other reports as much as ever
		d.held = []time.Duration{300 * time.Second, 20 * time.Minute, time.Hour, 3 * time.Hour}
	}
	d.rare = random.IntN(3) == 0
	kill := 0.0
	if random.IntN(2) == 0 {
		kill = .02
	}
	for range 20 + random.IntN(60) {
		d.live(applications, metrics, kill)
	}
	d.settle()
	d.audit(figures)
	return d.wrong
}

// live is one step of a history.
func (d *modelDaemon) live(applications, metrics int, kill float64) {
	b, random := d.backend, d.random
	switch random.IntN(14) {
	case 0, 1, 2, 3:
		if !d.rare || random.IntN(4) == 0 {
			d.seal(1+random.IntN(9), applications, metrics)
		}
	case 4:
		switch name := d.anyName(applications + metrics); {
		case name >= metricName && random.IntN(2) == 0:
			limit := [2]int{random.IntN(Applications), name - metricName}
			if b.hidden[limit] = !b.hidden[limit]; !b.hidden[limit] {
				d.gone = false
			}
		case !b.deleted[name] && random.IntN(4) == 0:
			b.deleted[name], d.deletions[name] = true, b.now
		}
	case 5: // what is made again while a report that names it is on its way is beyond what can be told
		if name := d.anyName(applications + metrics); b.now.Sub(d.deletions[name]) > 20*time.Minute && !b.underWay(name) {
			d.makeAgain(name)
		}
	case 12:
		b.skewed = random.IntN(3) == 0
	case 13:
		b.advance(upTo(random, time.Hour))
	case 6:
		b.stopped = random.IntN(3) == 0
	case 7:
		b.advance(upTo(random, 10*time.Minute))
	case 8:
		b.advance(upTo(random, 2*time.Minute))
	default:
		b.advance(upTo(random, 10*time.Second))
	}
	for _, id := range d.ids2() {
		batch := d.batches[id]
		if batch.end != 0 || batch.receipt != nil || random.IntN(3) == 0 {
			continue
		}
		outcome, late, killAt := 0, time.Duration(0), 0
		if random.IntN(4) == 0 {
			outcome, late = 1+random.IntN(3), d.held[random.IntN(4)]
		}
		if random.Float64() < kill {
			killAt = 1 + random.IntN(3)
		}
		d.send(batch, outcome, late, killAt)
		b.advance(upTo(random, time.Second))
	}
	for range 1 + random.IntN(3) {
		d.poll(kill)
		b.advance(upTo(random, 500*time.Millisecond))
	}
}

// anyName is an application or metric of producers, or rarely a receipt application.
func (d *modelDaemon) anyName(names int) int {
	if d.random.IntN(8) == 0 {
		if d.random.IntN(2) == 0 {
			return metricName + d.random.IntN(d.backend.metrics)
		}
		return receiptName + d.random.IntN(Applications)
	}
	return d.random.IntN(names)
}

// makeAgain makes an application or metric that was deleted. A receipt metric begins at 0, which the daemon sees only if it read
// before and after.
func (d *modelDaemon) makeAgain(name int) {
	b := d.backend
	if metric := name - metricName; metric >= 0 && b.deleted[name] {
		d.poll(0)
		for a := range Applications {
			b.counters[a][metric] = 0
		}
		defer func() {
			b.advance(time.Minute) // so long listeners remember that it is not there
			d.poll(0)
		}()
	}
	delete(b.deleted, name)
	d.gone = false
}

// settle ends all trouble, and goes on until everything has an end.
func (d *modelDaemon) settle() {
	b := d.backend
	b.stopped, b.skewed, b.trouble = false, false, modelTrouble{}
	for !b.quiet() { // what is made again while a report that names it is on its way is beyond what can be told
		b.advance(time.Minute)
	}
	clear(b.hidden)
	for a := range Applications {
		d.makeAgain(receiptName + a)
	}
	for m := range b.metrics {
		d.makeAgain(metricName + m)
	}
	for range 3000 {
		open := false
		for _, id := range d.ids2() {
			batch := d.batches[id]
			open = open || batch.end == 0
			if batch.end == 0 && batch.receipt == nil {
				d.send(batch, 0, 0, 0)
			}
		}
		d.gone = false
		d.poll(0)
		if !open && b.quiet() || !open && d.held[3] > 10*time.Minute {
			break
		}
		b.advance(20 * time.Second)
	}
	for range 3 { // what is counted once more is seen
		b.advance(time.Minute)
		d.poll(0)
	}
}

// audit holds the ends of all transactions against what was counted.
func (d *modelDaemon) audit(f *modelFigures) {
	for _, id := range d.ids2() {
		b := d.batches[id]
		if b.end == 0 {
			d.complain("batch %d has no end", id)
		}
		f.batches++
		for _, t := range b.transactions {
			n := d.backend.counts[t]
			if d.backend.beyond[t] {
				f.beyond++
				continue
			}
			if d.backend.reports[t] > 1 {
				d.complain("transaction %d was counted in %d of our reports", t, d.backend.reports[t])
			}
			switch {
			case d.dead[t]:
				f.dead++
				if n > 0 {
					d.complain("transaction %d is a dead letter, and counted %d times", t, n)
				}
			case b.end == Dropped: // it went on in another batch
				continue
			case b.end == Counted && n == 1:
				f.once++
			case b.end == Counted && b.doubled, b.end == Double, b.end == Partial, b.end == Unconfirmed:
				f.named++
			default:
				d.complain("batch %d is %s %v (attempts %d), and transaction %d is counted %d times", id, b.end, b.concluded, b.attempts, t, n)
			}
			f.transactions++
		}
	}
	f.kills += d.killed
	for end, n := range d.ended {
		f.ends[end] += n
	}
}

// histories is how many the environment asks for.
func histories(t *testing.T, least int) (from, n uint64) {
	n = uint64(least)
	if text := os.Getenv("REPORTERD_MODEL_HISTORIES"); text != "" {
		asked, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		n = asked
	}
	if text := os.Getenv("REPORTERD_MODEL_SEED"); text != "" {
		asked, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
		from = asked
	}
	return from, n
}

// TestModel: with every behaviour of the backend and the network, and a kill of the daemon at every step, no conclusion is wrong, nothing is
// counted twice by us, and everything that was accepted has its end.
func TestModel(t *testing.T) {
	from, n := histories(t, 2000)
	figures := modelFigures{ends: map[End]int{}}
	for seed := from; seed < from+n; seed++ {
		if wrong := history(seed, &figures, nil); len(wrong) > 0 {
			t.Fatalf("REPORTERD_MODEL_SEED=%d REPORTERD_MODEL_HISTORIES=1: %v", seed, wrong)
		}
	}
	t.Logf("%d histories, %+v", n, figures)
}
