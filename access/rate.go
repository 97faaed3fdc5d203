package access

import (
	"time"

	"golang.org/x/time/rate"
)

// burst is how many seconds' worth of events a producer may send at once.
const burst = 10

// SetRate sets the rate, in events a second, of producers' tokens whose entries have none; 0 is unlimited. It must be called
// before the first Find. A reload keeps the rate.
func (t *Tokens) SetRate(eventsPerSecond float64) error {
	if t == nil {
		return nil
	}
	t.rate = eventsPerSecond
	return t.Reload()
}

// limit makes the token bucket of a grant. A reload begins with a full one.
func (g *Grant) limit(otherwise float64) {
	perSecond := g.Rate
	if perSecond == 0 {
		perSecond = otherwise
	}
	if perSecond > 0 {
		g.bucket = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*burst)))
	}
}

// Take takes a number of events out of the holder's rate, all or none. It returns how long to wait before the next attempt; zero:
// they were taken. A nil Grant is unlimited. A request of more than ten seconds' worth of events counts as ten seconds' worth.
func (g *Grant) Take(events int) (wait time.Duration) {
	if g == nil || g.bucket == nil {
		return 0
	}
	now := time.Now()
	r := g.bucket.ReserveN(now, min(events, g.bucket.Burst()))
	if wait = r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
	}
	return wait
}

// PerSecond is how many events a second the holder may send; 0: unlimited.
func (g *Grant) PerSecond() float64 {
	if g == nil || g.bucket == nil {
		return 0
	}
	return float64(g.bucket.Limit())
}
