package threescale

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// periodsOf is an answer with a limit for each of some periods, by a clock that says at.
func periodsOf(at time.Time, periods ...Period) *Authorization {
	s := &Status{}
	for _, p := range periods {
		s.UsageReports = append(s.UsageReports, UsageReport{Metric: "hits", Period: p, PeriodStart: p.Start(at), PeriodEnd: p.End(at)})
	}
	return &Authorization{Answer: Answer{Status: 200}, Verdict: s}
}

// TestClockShows: what answers prove of the backend's clock, and no more.
func TestClockShows(t *testing.T) {
	const shift = -2 * time.Hour
	call := &AuthorizeCall{ServiceID: "1", Application: Application{ID: "a"}}
	for name, c := range map[string]struct {
		learn func(*Clock, time.Time)
		known bool
		width time.Duration
	}{
		"nothing":   {func(*Clock, time.Time) {}, false, 0},
		"no limits": {func(c *Clock, now time.Time) { c.authorized(call, periodsOf(now.Add(shift)), now, now) }, false, 0},
		"eternity":  {func(c *Clock, now time.Time) { c.authorized(call, periodsOf(now.Add(shift), Eternity), now, now) }, false, 0},
		"minute":    {func(c *Clock, now time.Time) { c.authorized(call, periodsOf(now.Add(shift), Minute), now, now) }, true, time.Minute},
		"hour":      {func(c *Clock, now time.Time) { c.authorized(call, periodsOf(now.Add(shift), Hour), now, now) }, true, time.Hour},
		"several":   {func(c *Clock, now time.Time) { c.authorized(call, periodsOf(now.Add(shift), Day, Minute), now, now) }, true, time.Minute},
		"date": {func(c *Clock, now time.Time) {
			c.reported(&Report{}, &Answer{Date: now.Add(shift).Truncate(time.Second)}, now, now)
		}, true, time.Second},
		"wrong date": {func(c *Clock, now time.Time) {
			c.authorized(call, &Authorization{Answer: Answer{Date: now}, Verdict: periodsOf(now.Add(shift), Minute).Verdict}, now, now)
		}, true, time.Minute},
		"slow answer": {func(c *Clock, now time.Time) {
			c.authorized(call, periodsOf(now.Add(shift), Minute), now.Add(-time.Second), now)
		}, true, 61 * time.Second},
		"clock was set": {func(c *Clock, now time.Time) {
			c.authorized(call, periodsOf(now, Minute), now, now)
			c.authorized(call, periodsOf(now.Add(shift), Minute), now, now)
		}, true, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			now, clock := time.Now(), &Clock{}
			c.learn(clock, now)
			s := clock.Skew(now)
			assert.Equal(t, c.known, s.Known)
			if c.known {
				assert.LessOrEqual(t, s.Least, shift)
				assert.GreaterOrEqual(t, s.Most, shift)
				assert.Equal(t, c.width, s.Width())
			}
		})
	}
}

// TestClockRefusals: a refused timestamp bounds the clock on one side.
func TestClockRefusals(t *testing.T) {
	now, clock := time.Now(), &Clock{}
	at := now.Add(-23 * time.Hour).Unix()
	clock.reported(&Report{Transactions: []Transaction{{Timestamp: at}, {Timestamp: now.Unix()}, {}}}, &Answer{Status: 403, Code: CodeTimestampTooOld}, now, now)
	assert.InDelta(t, time.Hour, clock.Skew(now).Ahead(), float64(2*time.Second))
	clock.reported(&Report{Transactions: []Transaction{{Timestamp: now.Unix()}}}, &Answer{Status: 403, Code: CodeTimestampTooNew}, now, now)
	assert.InDelta(t, -time.Hour, clock.Skew(now).Ahead(), float64(2*time.Second), "it contradicts what was shown before")
}

// TestClockNarrows: the change of a minute tells the clock to the time between two answers; what is too old is forgotten.
func TestClockNarrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		clock, call := &Clock{}, &AuthorizeCall{ServiceID: "1"}
		look := func(shift time.Duration, p Period) Skew {
			now := time.Now()
			clock.authorized(call, periodsOf(now.Add(shift), p), now, now)
			return clock.Skew(now)
		}
		for range 120 {
			look(time.Hour, Minute)
			<-time.After(time.Second)
		}
		assert.LessOrEqual(t, clock.Skew(time.Now()).Width(), time.Second)
		var s Skew
		for range 7 { // the clock is set back by what a day's limit does not show
			s = look(0, Day)
			<-time.After(20 * time.Minute)
		}
		assert.Zero(t, s.Ahead(), "it is not held against what was seen two hours ago")
	})
}
