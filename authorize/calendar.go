package authorize

import (
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

const periods = int(threescale.Minute) + 1

// calendar is one minute and the periods it lies in, as Unix seconds. It is immutable.
type calendar struct {
	minute int64
	start  [periods]int64 // 0 for Eternity
	end    [periods]int64 // exclusive; forever for Eternity

	moments *moments // the same in an answer; only in the calendar of the clock
}

const forever = int64(1)<<62 - 1

func newCalendar(unix int64) *calendar {
	at := time.Unix(unix, 0)
	c := &calendar{minute: floor(unix)}
	c.end[threescale.Eternity] = forever
	for p := threescale.Year; p <= threescale.Minute; p++ {
		c.start[p], c.end[p] = p.Start(at).Unix(), p.End(at).Unix()
	}
	return c
}

// floor returns the number of the minute.
func floor(unix int64) int64 {
	if unix < 0 {
		return (unix - 59) / 60
	}
	return unix / 60
}

// clock keeps the calendar of the current minute, so that it is worked out once.
type clock struct{ current atomic.Pointer[calendar] }

// at returns the calendar of a moment.
func (c *clock) at(unix int64) *calendar {
	if cal := c.current.Load(); cal != nil && cal.minute == floor(unix) {
		return cal
	}
	cal := newCalendar(unix)
	cal.moments = newMoments(cal)
	if old := c.current.Load(); old == nil || old.minute < cal.minute {
		c.current.Store(cal)
	}
	return cal
}
