package proof

import (
	"net/http"
	"time"
)

const (
	mostAsked  = 32 // questions under way at a time, with a backend that is quick
	leastAsked = 2  // with one that is slow or fails: one service alone cannot take all
	firstAsked = 4  // after a start

	paceSlower  = 3                // times as long as an answer takes at best: the backend, or this machine, has enough to do
	paceJitter  = time.Millisecond // more than that, in any case
	paceForgets = 5 * time.Minute  // after which what was best may be twice as long
)

// pace is how many questions may be under way: one more for each roundful of answers while as many are (additive increase), less
// by a factor once answers take longer than the backend has shown to need, or do not come (multiplicative decrease), at most
// once for what was under way at that moment. The Prober's mutex guards it.
type pace struct {
	room   float64
	best   float64 // nanoseconds for an answer
	latest time.Time
	cut    time.Time // the last decrease
}

// most is how many questions may be under way now.
func (c *pace) most() int { return int(c.room) }

// share is how many of them may be of one service.
func (c *pace) share() int { return max(1, c.most()*3/4) }

// answered books an answer; full says that as many questions were under way as may be.
func (c *pace) answered(began, now time.Time, full bool) {
	took := float64(now.Sub(began))
	if !c.latest.IsZero() {
		c.best += c.best * float64(now.Sub(c.latest)) / float64(paceForgets)
	}
	if c.latest = now; c.best == 0 || took < c.best {
		c.best = took
	}
	switch {
	case took > paceSlower*c.best+float64(paceJitter):
		c.decrease(began, now, 0.9)
	case full:
		c.room = min(c.room+1/c.room, mostAsked)
	}
}

// failed books a question that got no answer, or one that says that the backend has too much to do.
func (c *pace) failed(f *Failure, began, now time.Time) {
	if a := f.Answer; a == nil || a.Status == http.StatusTooManyRequests || a.Status >= http.StatusInternalServerError {
		c.decrease(began, now, 0.5)
	}
}

func (c *pace) decrease(began, now time.Time, by float64) {
	if began.Before(c.cut) {
		return
	}
	c.cut, c.room = now, max(c.room*by, leastAsked)
}
