package quota

import (
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Periods is the number of periods of 3scale, eternity included.
const Periods = int(threescale.Minute) + 1

// Calendar is one minute and the periods it lies in, as Unix seconds. It is immutable.
type Calendar struct {
	Minute int64          // number of the minute since 1970
	Start  [Periods]int64 // 0 for eternity
	End    [Periods]int64 // exclusive; for eternity beyond every timestamp
}

const forever = int64(1)<<62 - 1

func newCalendar(unix int64) *Calendar {
	at := time.Unix(unix, 0)
	c := &Calendar{Minute: minuteOf(unix)}
	c.End[threescale.Eternity] = forever
	for p := threescale.Year; p <= threescale.Minute; p++ {
		c.Start[p], c.End[p] = p.Start(at).Unix(), p.End(at).Unix()
	}
	return c
}

// minuteOf returns the number of the minute since 1970.
func minuteOf(unix int64) int64 {
	if unix < 0 {
		return (unix - 59) / 60
	}
	return unix / 60
}

// clock caches the calendar of the newest minute that was asked for.
type clock struct{ current atomic.Pointer[Calendar] }

// at returns the calendar of a moment, given in Unix seconds.
func (c *clock) at(unix int64) *Calendar {
	if cal := c.current.Load(); cal != nil && cal.Minute == minuteOf(unix) {
		return cal
	}
	cal := newCalendar(unix)
	if old := c.current.Load(); old == nil || old.Minute < cal.Minute {
		c.current.Store(cal)
	}
	return cal
}
