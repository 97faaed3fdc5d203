package threescale

import (
	"math"
	"net/http"
	"sync"
	"time"
)

// Clock is what the answers of a backend have shown of its clock. It shows in the periods of usage reports, and in refusals
// of timestamps; the backend sends no Date, and one that stands in an answer may be of a proxy. The zero value knows
// nothing. Several clients may share one; it is safe for concurrent use, and a nil Clock learns nothing.
type Clock struct {
	mu     sync.Mutex // guards what follows
	own    evidence   // of the backend itself
	dates  evidence   // of Date headers
	asked  bool       // an authorization was answered
	source AuthorizeCall
}

// Skew is by how much the backend's clock is ahead of this one: at least Least and at most Most; below 0 it is behind.
type Skew struct {
	Known       bool // false: no answer has shown the clock
	Own         bool // the backend showed it; false: only a Date did, which may be a proxy's
	Least, Most time.Duration
}

// Ahead is by how much the backend's clock is certainly ahead; negative: behind; 0 also when nothing is known.
func (s Skew) Ahead() time.Duration {
	return max(s.Least, min(s.Most, 0))
}

// Width is how far the bounds lie apart.
func (s Skew) Width() time.Duration { return s.Most - s.Least }

// unbounded is beyond what a clock can be ahead or behind by.
const unbounded = math.MaxInt64 / 4

// Skew returns what is known at a moment.
func (c *Clock) Skew(now time.Time) Skew {
	if c == nil {
		return Skew{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	own, seen := c.own.at(now)
	date, dated := c.dates.at(now)
	if joined := own.and(date); seen && dated && !joined.empty() {
		own = joined
	}
	if !seen {
		own = date
	}
	if !seen && !dated {
		return Skew{}
	}
	return Skew{Known: true, Own: seen, Least: own.least, Most: own.most}
}

// Asked reports whether an authorization was answered, whatever it showed.
func (c *Clock) Asked() bool {
	if c == nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked
}

// Source returns the call whose answer showed the clock last, to be made again; false: no answer did.
func (c *Clock) Source() (call AuthorizeCall, ok bool) {
	if c == nil {
		return AuthorizeCall{}, false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.source, c.source.ServiceID != "" || !c.source.Credentials.IsZero()
}

// authorized learns from the answer to a call that was made at sent and ended at received.
func (c *Clock) authorized(call *AuthorizeCall, a *Authorization, sent, received time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	shown := c.dateLocked(&a.Answer, sent, received)
	c.asked = c.asked || a.Status == http.StatusOK || a.Status == http.StatusConflict
	if a.Verdict != nil {
		for _, u := range a.Verdict.UsageReports {
			if u.PeriodStart.IsZero() || !u.PeriodEnd.After(u.PeriodStart) {
				continue
			}
			c.own.learn(span{u.PeriodStart.Sub(received), u.PeriodEnd.Sub(sent)}, received)
			shown = true
		}
	}
	if shown {
		c.source = AuthorizeCall{ServiceID: call.ServiceID, Credentials: call.Credentials, Application: call.Application}
	}
}

// reported learns from the answer to a report.
func (c *Clock) reported(r *Report, a *Answer, sent, received time.Time) {
	if c == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dateLocked(a, sent, received)
	if a.Code != CodeTimestampTooOld && a.Code != CodeTimestampTooNew {
		return
	}
	switch oldest, newest := r.timestamps(); {
	case oldest == 0: // it has none
	case a.Code == CodeTimestampTooOld:
		c.own.learn(span{time.Unix(oldest, 0).Add(MaxPast).Sub(received), unbounded}, received)
	default:
		c.own.learn(span{-unbounded, time.Unix(newest, 0).Add(-MaxFuture).Sub(sent)}, received)
	}
}

// timestamps returns the earliest and the latest timestamp of a report, Unix seconds; 0: it has none.
func (r *Report) timestamps() (oldest, newest int64) {
	for i := range r.Transactions {
		at := r.Transactions[i].Timestamp
		if at == 0 {
			continue
		}
		if oldest == 0 || at < oldest {
			oldest = at
		}
		newest = max(newest, at)
	}
	return oldest, newest
}

// dateLocked learns from a Date, which has whole seconds, and reports whether there is one. mu is held.
func (c *Clock) dateLocked(a *Answer, sent, received time.Time) bool {
	if a.Date.IsZero() {
		return false
	}
	c.dates.learn(span{a.Date.Sub(received), a.Date.Add(time.Second).Sub(sent)}, received)
	return true
}

// span is between which bounds the backend's clock is ahead.
type span struct{ least, most time.Duration }

func (s span) and(o span) span { return span{max(s.least, o.least), min(s.most, o.most)} }

func (s span) empty() bool { return s.least > s.most }

var anything = span{-unbounded, unbounded}

// evidence joins what answers of the last half an hour to an hour showed, so that bounds become closer at each change of a
// minute, an hour or a day, and a clock that is set right is believed.
type evidence struct {
	current, before span
	since           time.Time // of current; zero: there is none
	latest          time.Time
}

const (
	evidenceLife = 30 * time.Minute
	clockStep    = 5 * time.Second // by which our own clock may differ from the time that passed, before all is forgotten
)

// learn adds what an answer showed. Where that cannot be true together with what was shown before, a clock was set, and
// only the latest holds.
func (e *evidence) learn(s span, now time.Time) {
	switch {
	case e.since.IsZero() || stepped(e.latest, now):
		e.current, e.before, e.since = s, anything, now
	case now.Sub(e.since) > evidenceLife:
		e.before, e.current, e.since = e.current, s, now
	default:
		e.current = e.current.and(s)
	}
	if e.current.empty() {
		e.current, e.before, e.since = s, anything, now
	}
	if e.current.and(e.before).empty() {
		e.before = anything
	}
	e.latest = now
}

// at returns what is known at a moment. Once our own clock was set, nothing is.
func (e *evidence) at(now time.Time) (span, bool) {
	if e.since.IsZero() || stepped(e.latest, now) {
		return anything, false
	}
	return e.current.and(e.before), true
}

// stepped reports whether our own clock was set between two moments that both have a monotonic reading.
func stepped(from, to time.Time) bool {
	passed, shown := to.Sub(from), to.Round(0).Sub(from.Round(0))
	return (passed - shown).Abs() > clockStep
}
