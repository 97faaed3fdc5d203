package proof

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

// back is a clock that was a day ahead until now.
const back = 24 * time.Hour

// TestTheClockGoesBack: what was learnt at times that have not come yet is no reason to condemn or to wait.
func TestTheClockGoesBack(t *testing.T) {
	opinion := func(p *Proofs, ago time.Duration) Assessment {
		now := time.Now()
		return p.Lookup(scope, now.Add(-ago), now).Assess(hits("a"))
	}
	ahead := func() time.Time { return time.Now().Add(back) }
	application := func(p *Proofs) key { return p.keyOf(scope, Question{Application: app("a")}) }

	t.Run("a denial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := New(Options{})
			p.deny(application(p), absent, ahead())
			assert.Equal(t, Unknown, opinion(p, 0).State, "it may have been made since")
			assert.Equal(t, Unknown, opinion(p, time.Hour).State)
		})
	})
	t.Run("a report that named it", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := New(Options{})
			p.Name(scope, hits("a"), ahead())
			p.Prove(scope, app("a"), []string{"hits"}, time.Now())
			o := opinion(p, 0)
			assert.Equal(t, Waiting, o.State)
			assert.LessOrEqual(t, time.Until(o.At), DefaultGrace+time.Second)
			wait(DefaultGrace + time.Second)
			assert.Equal(t, Proven, opinion(p, 0).State)
		})
	})
	t.Run("a proof", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := New(Options{})
			p.Prove(scope, app("a"), []string{"hits"}, ahead())
			assert.Equal(t, Proven, opinion(p, 0).State)
			wait(DefaultLife + time.Second)
			assert.Equal(t, Unknown, opinion(p, 0).State)
		})
	})
	t.Run("the seal of the batch", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			p := New(Options{})
			p.denyNow("a")
			o := opinion(p, -back)
			assert.Equal(t, Waiting, o.State)
			assert.LessOrEqual(t, time.Until(o.At), DefaultGrace+time.Second)
			wait(time.Until(o.At))
			assert.Equal(t, Unknown, opinion(p, -back).State, "it is asked for again")
		})
	})
}
