package sender

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestRequeuedAfterAnOutage: usage that became too old in an outage is requeued at its end. While the backend refused, reports
// named the application without a proof. It did not take them, so the requeued usage need not wait for a worker to forget the
// name.
func TestRequeuedAfterAnOutage(t *testing.T) {
	inCity(t, sandbox.Options{}, Options{ExpiredMargin: 12 * time.Hour}, proof.Options{}, 200, func(c *city) {
		c.create("app1")
		c.behave(func(bool) reply { return reply{status: 503} })
		c.sealAll("1001", hit("app1", time.Now().Add(-12*time.Hour+40*time.Second)))
		c.wait(41 * time.Second)
		c.behave(nil)
		for c.spool.Counts().Dead == 0 {
			c.wait(100 * time.Millisecond)
		}
		letters, _, err := c.spool.DeadLetters(spool.DeadLetterQuery{})
		require.NoError(t, err)
		require.Len(t, letters, 1)
		_, err = c.spool.Requeue([]string{letters[0].ID}, time.Now())
		require.NoError(t, err)
		c.wait(2 * time.Second)
		assert.EqualValues(t, 1, c.hits("1001"))
	})
}
