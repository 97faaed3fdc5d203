package sender

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/reporterd/reporterd/sender/proof"
)

// growthVariable makes the growth test go up to 10,000 lanes (make soak).
const growthVariable = "REPORTERD_GROWTH"

// most is by how much the cost of the same work may grow when what exists doubles.
const most = 1.1

// operations is what the Sender did, in counts that do not depend on the machine.
type operations struct {
	looks    uint64 // at lanes and at batches that are set aside
	compared uint64 // pairs of them, in heaps
}

func (w *world) operations() operations {
	w.sender.mu.Lock()
	defer w.sender.mu.Unlock()
	c, a := w.sender.schedule, &w.sender.aside
	return operations{c.looks + a.looks, c.compared + a.compared}
}

// since is the operations for each of n pieces of work. A comparison counts as its part of the way through a heap of size.
func (o operations) since(before operations, n, size int) float64 {
	compared := float64(o.compared-before.compared) / math.Log2(float64(size))
	return (float64(o.looks-before.looks) + compared) / float64(n)
}

// order is how much the order in which goroutines run changes, in operations for each report. Work that grows with the size
// doubles instead.
const order = 0.25

// TestGrowth doubles what exists and counts the operations for the same work: a wake-up costs what changed, and choosing the next
// lane the logarithm of the lanes.
func TestGrowth(t *testing.T) {
	sizes := []int{100, 200}
	if os.Getenv(growthVariable) != "" {
		sizes = []int{625, 1250, 2500, 5000, 10_000}
	}
	for _, c := range []struct {
		name string
		cost func(t *testing.T, size int) float64 // in operations, for each report
	}{
		{"reports of as many lanes", costOfBusyLanes},
		{"reports beside lanes in backoff", costBesideBackoff},
		{"reports beside batches that wait for a proof", costBesideProbation},
		{"a flush of as many batches", costOfFlush},
		{"reports beside lanes of strangers", costBesideStrangers},
		{"figures beside lanes of strangers", costOfFigures},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			before := c.cost(t, sizes[0]/2)
			for _, size := range sizes {
				cost := c.cost(t, size)
				t.Logf("%6d: %.2f operations", size, cost)
				assert.LessOrEqual(t, cost, before*most+order, "%d", size)
				before = cost
			}
		})
	}
}

func costOfBusyLanes(t *testing.T, size int) (cost float64) {
	inWorld(t, Options{}, func(w *world) {
		for i := range size {
			w.configure(fmt.Sprint(i), "t")
		}
		sealLanes(t, w.spool, size)
		w.wait(time.Second)
		require.EqualValues(t, size, w.spool.Counts().Delivered)
		cost = w.operations().since(operations{}, size, size)
	})
	return cost
}

func costBesideBackoff(t *testing.T, size int) (cost float64) {
	inWorld(t, Options{BackoffBase: time.Hour, BackoffMax: time.Hour}, func(w *world) {
		w.backend.behave(func(c call) reply {
			if c.service == "1" {
				return reply{}
			}
			return refuse(403, "service_token_invalid", "no")
		})
		for i := range size {
			w.configure(fmt.Sprint(i), "t")
		}
		sealLanes(t, w.spool, size)
		w.wait(time.Second)
		cost = w.reports(20, size)
	})
	return cost
}

// reports makes reports of lane 1, one after the other, and returns the operations for each.
func (w *world) reports(n, size int) float64 {
	before := w.operations()
	for range n {
		w.seal("1", "a")
		w.wait(time.Second)
	}
	return w.operations().since(before, n, size)
}

// costBesideProbation has a batch of each lane but one wait for an answer that does not come.
func costBesideProbation(t *testing.T, size int) (cost float64) {
	proofs := proof.New(proof.Options{})
	inWorld(t, Options{Proofs: proofs}, func(w *world) {
		w.sender.options.Prober = proof.NewProber(w.sender.client, proofs, 1) // it does not run
		w.configure("1", "t1")
		for i := range size {
			w.configure(fmt.Sprint(100+i), "t")
		}
		w.stopAsking(size)
		cost = w.reports(20, size)
	})
	return cost
}

// stopAsking seals a batch for each of many lanes, which are then set aside for the rest of the test.
func (w *world) stopAsking(size int) {
	scope := proof.Scope{ServiceID: "1"}
	scope.Credentials, _ = w.credentials("1")
	w.sender.options.Proofs.Prove(scope, hit("a", time.Now()).Application, []string{"hits"}, time.Now())
	for i := range size {
		w.seal(fmt.Sprint(100+i), "new")
	}
	w.wait(100 * time.Millisecond)
	w.sender.mu.Lock()
	defer w.sender.mu.Unlock()
	require.Len(w.t, w.sender.aside.waiting, size)
	for _, p := range w.sender.probations {
		w.sender.aside.put(p, time.Now().Add(time.Hour))
	}
}

// costOfFlush counts the looks at batches while all of them are delivered and something waits for that.
func costOfFlush(t *testing.T, size int) (cost float64) {
	inWorld(t, Options{}, func(w *world) {
		for i := range size {
			w.configure(fmt.Sprint(i), "t")
		}
		w.backend.behave(func(call) reply { return reply{delay: time.Second} })
		sealLanes(t, w.spool, size)
		c := &scan{upTo: w.spool.Committed()}
		var ended atomic.Bool
		go func() {
			defer ended.Store(true)
			for waiting, progress := w.sender.untried(c); waiting; waiting, progress = w.sender.untried(c) {
				<-progress
			}
		}()
		w.wait(time.Duration(size) * time.Second)
		require.True(t, ended.Load())
		synctest.Wait()
		cost = float64(c.looks) / float64(size)
	})
	return cost
}

// costBesideStrangers has the backend refuse a lane of each stranger.
func costBesideStrangers(t *testing.T, size int) (cost float64) {
	beside(t, size, func(w *world) { cost = w.reports(20, size) })
	return cost
}

// costOfFigures counts the lanes that are looked at to tell what all of them do.
func costOfFigures(t *testing.T, size int) (cost float64) {
	beside(t, size, func(w *world) {
		s := w.sender
		before := s.passedOnLanes.looks
		assert.Len(t, s.Lanes(20), 22, "the configured one, 20 that are named, and a sum")
		cost = float64(s.passedOnLanes.looks - before)
	})
	return cost
}

// beside runs f while a lane of each stranger waits, since the backend refuses it.
func beside(t *testing.T, size int, f func(w *world)) {
	inWorld(t, Options{BackoffBase: time.Hour, BackoffMax: time.Hour, HoldPoll: 24 * time.Hour}, func(w *world) {
		w.configure("1", "t")
		w.backend.behave(func(c call) reply {
			if c.service == "1" {
				return reply{}
			}
			return refuse(403, "service_token_invalid", "no")
		})
		w.seal("1", "a")
		w.sealStrangers(size)
		w.wait(time.Minute)
		f(w)
	})
}
