package sender

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// at is an event of an application at a moment from now.
func at(app string, ahead time.Duration) spool.Transaction { return hit(app, time.Now().Add(ahead)) }

// TestTheClockWasAhead when events were accepted: the backend drops a report whole for one of them that is more
// than an hour ahead. They wait for their time, and no other batch waits with them.
func TestTheClockWasAhead(t *testing.T) {
	for name, test := range map[string]struct {
		ahead     []time.Duration
		now, dead uint64
	}{
		"all of them":         {[]time.Duration{3 * time.Hour, 2 * time.Hour}, 0, 0},
		"some of them":        {[]time.Duration{3 * time.Hour, 0, 2 * time.Hour, time.Minute}, 2, 0},
		"beside what is old":  {[]time.Duration{3 * time.Hour, -25 * time.Hour}, 0, 1},
		"to the very second":  {[]time.Duration{time.Hour, 0}, 1, 0},
		"within what is fine": {[]time.Duration{58 * time.Minute, 0}, 2, 0},
		"by days":             {[]time.Duration{72 * time.Hour, 0}, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 200, func(c *city) {
				c.seal("1001", "app1") // proven from now on
				c.wait(30 * time.Second)
				all := make([]spool.Transaction, len(test.ahead))
				for i, ahead := range test.ahead {
					all[i] = at("app1", ahead)
				}
				c.sealAll("1001", all...)
				c.wait(20 * time.Second)
				assert.Equal(t, 1+test.now, c.spool.Counts().Delivered)
				assert.Equal(t, 1+test.now, c.hits("1001"))
				c.wait(73 * time.Hour)
				n := c.spool.Counts()
				assert.Equal(t, []uint64{n.Accepted - test.dead, test.dead, 0}, []uint64{n.Delivered, n.Dead, n.Pending})
				assert.Equal(t, n.Delivered, c.hits("1001"))
				assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
			})
		})
	}
}
