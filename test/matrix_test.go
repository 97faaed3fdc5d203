package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// faultCase is one way for a report to go wrong. What cannot have been counted is counted once in the
// end; what had landed is counted again, and called ambiguous before, unless an answer denied it.
type faultCase struct {
	name      string
	order     order // what stands in front of the backend does with it
	toxic     toxic // or what the cable does
	cut       bool  // or it is cut
	landed    bool  // it was counted all the same
	ambiguous bool  // the daemon cannot know
}

func faultCases() (all []faultCase) {
	for _, landed := range []bool{false, true} {
		word := map[bool]string{false: "not counted", true: "but it had landed"}[landed]
		for _, status := range []int{500, 502, 504} {
			all = append(all, faultCase{name: fmt.Sprint(status, ", ", word), order: order{status: status, landed: landed}, landed: landed, ambiguous: true})
		}
		for _, status := range []int{408, 429, 503} {
			all = append(all, faultCase{name: fmt.Sprint(status, ", ", word), order: order{status: status, landed: landed}, landed: landed})
		}
		all = append(all,
			faultCase{name: "closed, " + word, order: order{cut: true, landed: landed}, landed: landed, ambiguous: true},
			faultCase{name: "hangs, " + word, order: order{hang: true, landed: landed}, landed: landed, ambiguous: true},
		)
	}
	limit := func(bytes int) map[string]int { return map[string]int{"bytes": bytes} }
	return append(all, []faultCase{
		{name: "reset on the way there", toxic: toxic{"reset_peer", "upstream", nil}, ambiguous: true},
		{name: "reset on the way back", toxic: toxic{"reset_peer", "downstream", nil}, landed: true, ambiguous: true},
		{name: "swallowed on the way there", toxic: toxic{"timeout", "upstream", nil}, ambiguous: true},
		{name: "swallowed on the way back", toxic: toxic{"timeout", "downstream", nil}, landed: true, ambiguous: true},
		{name: "cut off in the request", toxic: toxic{"limit_data", "upstream", limit(300)}, ambiguous: true},
		{name: "cut off in the answer's first line", toxic: toxic{"limit_data", "downstream", limit(9)}, landed: true, ambiguous: true},
		{name: "cut off in the answer's head", toxic: toxic{"limit_data", "downstream", limit(40)}, landed: true, ambiguous: true},
		{name: "slow", toxic: toxic{"latency", "downstream", map[string]int{"latency": 300}}},
		{name: "too slow", toxic: toxic{"latency", "downstream", map[string]int{"latency": 3000}}, landed: true, ambiguous: true},
		{name: "in slices", toxic: toxic{"slicer", "upstream", map[string]int{"average_size": 20, "size_variation": 10, "delay": 100}}},
		{name: "refused", cut: true},
		{name: "413, not counted", order: order{status: 413}}, // what is too large was not read
	}...)
}

// matrixSum is what the cases have to show together.
type matrixSum struct {
	mu                                 sync.Mutex // guards what follows
	cases, events, repeated, ambiguous int
}

// TestFaultMatrix crosses each fault with whether it landed, and with whether the daemon survives it or is
// killed by it. The crash test's checker judges.
func TestFaultMatrix(t *testing.T) {
	t.Parallel() // it waits more than it works
	sum := &matrixSum{}
	t.Run("cases", func(t *testing.T) {
		for _, c := range faultCases() {
			for _, killed := range []bool{false, true} {
				name := c.name
				if killed {
					name += ", and the daemon is killed"
				}
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					c.run(t, killed, sum)
				})
			}
		}
	})
	t.Logf("%d cases, %d events acknowledged, none lost; %d counted more than once, all explained; %d called ambiguous",
		sum.cases, sum.events, sum.repeated, sum.ambiguous)
}

func (c faultCase) run(t *testing.T, killed bool, sum *matrixSum) {
	b := sandbox(t)
	w := newWitness(b.url, 1)
	w.swearIn()
	s := newSettings(t, b.url).set("batch.flush_interval", "1h").set("backend.timeout", "1s")
	config, sent := s.write(t), tally{}
	url, leave := w.attend(t, 1)
	line := newCable(t, url)
	d := launch(t, config, "--backend-url", line.url())
	d.ready()
	events := d.sendHits(sent) // after this, nothing has to be asked any more
	d.drained(20 * time.Second)
	before := w.attempts()

	switch {
	case c.cut:
		line.cut()
	case c.toxic.Type != "":
		w.unheard(c.landed)
		line.worsen(c.toxic)
	default:
		w.obeys(c.order)
	}
	events += d.sendHits(sent)
	if killed {
		d.attempted(func() bool { return w.attempts() > before })
		d.kill()
		line.cut()
		leave()
		url, leave = w.attend(t, 2)
		line = newCable(t, url)
		d = launch(t, config, "--backend-url", line.url())
		d.ready()
		w.unheard(false)
	} else {
		d.flush()
		w.unheard(false)
		line.heal()
		if c.cut {
			line.join()
		}
	}
	defer leave()
	st := d.drained(30 * time.Second)
	d.kill()

	w.mu.Lock()
	defer w.mu.Unlock()
	v := check(&ledger{kept: book{usage: sent}}, w, b.usage().counters(), map[int]bool{1: killed})
	assert.Empty(t, v.problems)
	assert.EqualValues(t, events, st.Events.Delivered)
	assert.Zero(t, st.Events.Lost+st.Events.Dead)
	if !c.landed && !killed {
		assert.Zero(t, v.excess, "counted more than once, and had not landed")
	}
	if c.ambiguous {
		assert.GreaterOrEqual(t, st.Events.Ambiguous, v.excess, "events counted twice were called ambiguous")
	}
	if c.ambiguous && !killed {
		assert.NotZero(t, st.Events.Ambiguous)
	}
	sum.mu.Lock()
	defer sum.mu.Unlock()
	sum.cases++
	sum.events += events
	sum.repeated += int(v.excess)
	sum.ambiguous += int(st.Events.Ambiguous)
}

// sendHits sends an event of each of some applications of one service and books them. Each report is one
// of its kind.
func (d *daemon) sendHits(sent tally) (events int) {
	d.t.Helper()
	r := rand.New(rand.NewPCG(rand.Uint64(), 0))
	for _, consumer := range slices.Concat(identified[:3], anonymous[:3]) {
		e := randomEvent(r, consumer, "")
		e.Code = 0
		d.send(e)
		events++
		for metric, value := range e.Usage {
			sent.count(consumer.service, consumer.shown, metric, value)
		}
	}
	return events
}

// attempted seals what there is and waits until it was tried, or at least something arrived.
func (d *daemon) attempted(arrived func() bool) {
	flushed := make(chan struct{})
	go func() { // ends with the flush, the daemon, or the client's timeout
		defer close(flushed)
		_, _ = call(testClient, "POST", d.admin+"/-/flush", "", nil)
	}()
	ctx, cancel := context.WithTimeout(d.t.Context(), 3*time.Second)
	defer cancel()
	poll(ctx, func() bool {
		select {
		case <-flushed:
			return true
		default:
			return arrived()
		}
	})
}
