package sender

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestFloodOfUnknownNames: a producer whose ids are broken sends more names than can be asked about. What is proven
// goes on beside it, and nothing is dropped.
func TestFloodOfUnknownNames(t *testing.T) {
	inCity(t, sandbox.Options{NegativeCache: minute}, Options{}, proof.Options{}, 20, func(c *city) {
		c.seal("1001", "app1")
		c.wait(10 * time.Second)
		ghosts := 0
		for range 200 {
			var all []spool.Transaction
			for range 50 {
				ghosts++
				all = append(all, of(id("app1"), "hits"), of(id(fmt.Sprint("ghost", ghosts)), "hits"))
			}
			c.sealAll("1001", all...)
			c.wait(time.Second)
		}
		assert.Greater(t, c.spool.Counts().Delivered, uint64(9_000), "of 10,000 good ones, the last of them 20 seconds old")
		assert.Zero(t, c.sandbox.Calls().DiscardedBatches)
	})
}
