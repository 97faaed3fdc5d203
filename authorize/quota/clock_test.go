package quota

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/threescale"
)

// TestClockGoesBack: where the clock was ahead and is put right, limits hold at once, and what was accepted ahead
// of its time weighs when that comes.
func TestClockGoesBack(t *testing.T) {
	var clk clock
	app := &Application{service: newService()}
	app.service.clock = &clk
	hits := app.service.Metric("hits")
	total := func(p threescale.Period, now int64) int64 {
		l := limit{metric: hits, period: p, start: unlearned}
		return l.total(app.usages, clk.at(now))
	}
	use := func(n uint64, now int64) {
		app.bookLocked(threescale.Usage{{Metric: "hits", Value: n}}, false, now, accept, now)
	}
	right := time.Date(2027, 2, 27, 23, 30, 5, 0, time.UTC).Unix()
	for _, ahead := range []int64{3600, 86400, 40 * 86400} {
		app.usages = nil
		use(5, right+ahead)
		for i := range int64(10) {
			use(1, right+i)
		}
		assert.EqualValues(t, 10, total(threescale.Minute, right+10))
		assert.EqualValues(t, 10, total(threescale.Hour, right+10))
		assert.EqualValues(t, 10, total(threescale.Day, right+10))
		assert.EqualValues(t, 15, total(threescale.Eternity, right+10))
		assert.EqualValues(t, 5, total(threescale.Minute, right+ahead))
		assert.EqualValues(t, 5, total(threescale.Day, right+ahead))
		assert.EqualValues(t, 5, total(threescale.Minute, right+ahead+20), "a late look")
	}
	app.usages = nil
	use(5, right+25)
	app.bookLocked(threescale.Usage{{Metric: "hits", Value: 1}}, false, right+56, accept, right+56) // the next minute
	use(2, right+50)                                                                                // taken a moment before
	assert.EqualValues(t, 1, total(threescale.Minute, right+57), "whoever comes late does not turn a period back")
}
