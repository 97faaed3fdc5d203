package sender

import "time"

const (
	leastRoom = 2 // so that a sick lane cannot take all of it
	overload  = 0.7
	slowness  = 0.9
	slow      = 500 * time.Millisecond // a call below this is never slow
	slowTimes = 4                      // as slow as calls were at best, for their size
	callCost  = 50                     // what a call costs beside its transactions, in transactions
)

// limit is how many reports may be in flight: one more for each roundful of answers while all of them are
// used (additive increase), less by a factor when the backend refuses, fails or slows down
// (multiplicative decrease), at most once for what was in flight at that moment. Lanes that are in
// trouble already do not count: they say something about themselves. The Sender's mutex guards it.
type limit struct {
	now  float64
	most int
	best float64   // nanoseconds for a transaction, at best; creeps up, so that it is not for ever
	cut  time.Time // the last decrease
}

func newLimit(most int) limit {
	return limit{now: float64(min(most, max(leastRoom, most/2))), most: most}
}

// room is how many reports may be in flight now.
func (l *limit) room() int {
	if l.most == 0 {
		return 0
	}
	return max(1, min(int(l.now), l.most))
}

// answered books a call that was taken, how long that took, and whether all the room was used: there is no
// need for more otherwise.
func (l *limit) answered(began, now time.Time, transactions int, full bool) {
	took := now.Sub(began)
	each := float64(took) / float64(transactions+callCost)
	if l.best == 0 || each < l.best {
		l.best = each
	}
	if took >= slow && each > slowTimes*l.best {
		l.decrease(began, now, slowness)
	} else if full {
		l.now = min(l.now+1/l.now, float64(l.most))
	}
	l.best *= 1.01
}

// decrease cuts the limit, unless the call began before the last cut.
func (l *limit) decrease(began, now time.Time, by float64) {
	if began.Before(l.cut) {
		return
	}
	l.cut = now
	l.now = max(l.now*by, float64(min(leastRoom, l.most)))
}

// weigh tells the limit how a call went.
func (d *delivery) weigh(v Verdict) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lane.trouble.exists() {
		return
	}
	switch v.Kind {
	case Delivered:
		full := d.inFlight >= d.limit.room() || len(d.lane.inFlight) >= d.share()
		d.limit.answered(d.sent, time.Now(), len(d.fresh), full)
	case Retry, Ambiguous:
		d.limit.decrease(d.sent, time.Now(), overload)
	}
}
