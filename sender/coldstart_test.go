package sender

import (
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// TestManyUnknownApplications seals usage of applications that were never asked about, all at once, with a backend that takes 2 ms
// for an answer: one question for each, in time, and what is proven is delivered while the rest is asked.
func TestManyUnknownApplications(t *testing.T) {
	n := 5000
	if os.Getenv(growthVariable) != "" {
		n = 100_000
	}
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 5000, func(c *city) {
		c.behave(func(bool) reply { return reply{delay: 2 * time.Millisecond} })
		names := make([]string, n)
		for i := range names {
			names[i] = fmt.Sprintf("new%d", i)
		}
		c.create(names...)
		c.wait(2 * minute) // the sandbox remembers nothing of before
		began := time.Now()
		for i := 0; i < n; i += 1000 {
			c.seal("1001", names[i:i+1000]...)
		}
		var first time.Duration
		for c.spool.Counts().Delivered < uint64(n) && time.Since(began) < time.Minute {
			c.wait(50 * time.Millisecond)
			if first == 0 && c.spool.Counts().Delivered > 0 {
				first = time.Since(began)
				status := c.lane("1001")
				assert.Equal(t, min(n/1000-1, mostQuestioning), status.Questioned)
				assert.Equal(t, began, status.Questioning)
			}
		}
		took := time.Since(began)
		t.Logf("%d applications: first delivery after %v, all after %v, %d questions, %d reports",
			n, first, took, c.asked(), c.sandbox.Calls().Report)
		assert.EqualValues(t, n, c.hits("1001"))
		assert.Equal(t, n, c.asked(), "one question proves an application, the first of them the metric as well")
		assert.Less(t, first, time.Second)
		assert.Less(t, took, time.Duration(n)*time.Minute/200_000)
	})
}

// TestManyNewLanes: 2,000 services have usage for the first time, all at once. One question proves an application and its metric, so
// that the first lanes deliver while the last are asked about.
func TestManyNewLanes(t *testing.T) {
	const n = 2000
	inCity(t, sandbox.Options{}, Options{}, proof.Options{}, 5000, func(c *city) {
		c.behave(func(bool) reply { return reply{delay: 20 * time.Millisecond} })
		token, services, applications := []string{"new"}, make([]sandbox.ServiceChange, n), make([]sandbox.ApplicationChange, n)
		for i := range n { // the names are those of sealLanes
			id := fmt.Sprint(i)
			services[i] = sandbox.ServiceChange{ID: id, Tokens: &token}
			applications[i] = sandbox.ApplicationChange{ServiceID: id, AppID: "a"}
			c.configure(id, "new")
		}
		require.NoError(t, c.sandbox.PutServices(services...))
		require.NoError(t, c.sandbox.PutApplications(applications...))
		c.wait(2 * minute) // the sandbox remembers nothing of before
		began := time.Now()
		sealLanes(t, c.spool, n)
		var first time.Duration
		for c.spool.Counts().Delivered < n && time.Since(began) < time.Minute {
			c.wait(50 * time.Millisecond)
			if first == 0 && c.spool.Counts().Delivered > 0 {
				first = time.Since(began)
			}
		}
		t.Logf("%d new lanes, a backend that takes 20 ms: first delivery after %v, all after %v, %d questions", n, first, time.Since(began), c.asked())
		assert.EqualValues(t, n, c.spool.Counts().Delivered)
		assert.InDelta(t, n, c.asked(), 10, "one for each lane; the services that the sandbox has anyway differ")
		assert.Less(t, first, time.Second)
	})
}
