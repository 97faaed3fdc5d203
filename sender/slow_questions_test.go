package sender

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestALaneWhoseQuestionsTookLong: a batch asks again while its first questions are still queued. Once all are
// answered, none is under way, and the lane gets over the next failure as any other.
func TestALaneWhoseQuestionsTookLong(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 1, func(c *city) {
		c.create(apps(40)...)
		c.seal("1001", apps(40)...)
		c.wait(5 * minute)
		assert.EqualValues(t, 40, c.spool.Counts().Delivered)
		failed := 0
		c.behave(func(report bool) reply {
			if !report || failed == 1 {
				return reply{}
			}
			failed++
			return reply{status: http.StatusServiceUnavailable}
		})
		c.seal("1001", apps(40)...)
		c.wait(5 * time.Minute)
		assert.Equal(t, 1, failed)
		assert.EqualValues(t, 80, c.spool.Counts().Delivered, "%+v", c.lane("1001"))
		c.sender.mu.Lock()
		defer c.sender.mu.Unlock()
		for _, l := range c.sender.lanes {
			assert.Zero(t, l.asking)
			assert.Zero(t, l.awaitingProof)
		}
	})
}
