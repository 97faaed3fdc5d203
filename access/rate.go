package access

import (
	"time"

	"golang.org/x/time/rate"
)

// burst is how many seconds' worth of events a producer may send at once.
const burst = 10

// SetRate gives a rate, in events a second, to the tokens of producers whose entries name none; 0 is no bound. It is for
// the time before anybody asks; a reload keeps it.
func (t *Tokens) SetRate(eventsPerSecond float64) error {
	if t == nil {
		return nil
	}
	t.rate = eventsPerSecond
	return t.Reload()
}

// limit makes the bucket of a grant. A reload begins with a full one.
func (g *Grant) limit(otherwise float64) {
	perSecond := g.Rate
	if perSecond == 0 {
		perSecond = otherwise
	}
	if perSecond > 0 {
		g.bucket = rate.NewLimiter(rate.Limit(perSecond), max(1, int(perSecond*burst)))
	}
}

// Take takes so many events out of what the holder may send, all or none. It returns how long to wait before it is
// worth another try; zero: they were taken. A nil Grant has no bound. A request of more than ten seconds' worth counts as
// that much.
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

// PerSecond is how many events a second the holder may send; 0: any.
func (g *Grant) PerSecond() float64 {
	if g == nil || g.bucket == nil {
		return 0
	}
	return float64(g.bucket.Limit())
}
