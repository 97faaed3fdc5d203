package spool_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// faultErrors are what operations fail with.
var faultErrors = []error{syscall.EIO, syscall.ENOSPC}

// shape is what one history is like, drawn from its seed.
type shape struct {
	lives      int
	concurrent bool  // producers, cutter and sender at once; otherwise one step at a time, reproducible
	faulty     bool  // operations that change the disk fail
	troubled   bool  // reads, opens and listings fail for a while
	huge       bool  // some events are huge
	restless   bool  // most lives end during the start, or soon after it
	kills      bool  // now and then only the process dies, and the machine stays up
	quota      int64 // MaxBytes
	capacity   int64 // of the disk
	segment    int64
}

// drawShape returns a random one.
func drawShape(rng *rand.Rand) shape {
	sh := shape{
		lives:      2 + rng.IntN(4),
		concurrent: rng.IntN(3) > 0,
		faulty:     rng.IntN(2) == 0,
		kills:      rng.IntN(3) == 0,
		huge:       rng.IntN(10) == 0,
		segment:    4096 << rng.IntN(4),
	}
	switch rng.IntN(8) {
	case 0:
		sh.quota = sh.segment * int64(6+rng.IntN(20))
	case 1:
		sh.capacity = sh.segment * int64(6+rng.IntN(20))
	}
	return sh
}

// history is several lives of one data directory.
type history struct {
	shape   shape
	rng     *rand.Rand
	book    *book
	disk    platform
	spool   *spool.Spool // nil between lives, and when opening met the end of the disk
	crashes int
	trace   []string    // the last operations of the last life that ended
	harm    string      // what damage was done
	digs    bool        // dead letters are requeued
	undone  int         // events that damage made pending again
	failed  int         // starts that failed because of trouble
	keeper  *keeper     // reads the accounts; nil: they are not kept
	last    bool        // in the last life nothing fails any more
	garbled atomic.Bool // in this life a read was, or is to be, wrong by a bit
}

// newHistory returns the history of a seed.
func newHistory(seed uint64) *history {
	rng := rand.New(rand.NewPCG(seed, 0x6d6f64656c))
	h := &history{shape: drawShape(rng), rng: rng, book: newBook()}
	h.disk = local{disktest.New(disktest.Options{Seed: seed, Capacity: h.shape.capacity})}
	if h.shape.quota == 0 && rng.IntN(2) == 0 { // a quota makes the spool give accounts up
		h.keeper = &keeper{book: h.book}
	}
	return h
}

// run goes through all lives, and ends with one in which everything is delivered.
func (h *history) run(ctx context.Context) {
	for range h.shape.lives {
		h.live(ctx)
		if h.book.faulty() {
			return
		}
	}
	h.drain(ctx)
}

// live is one life: open, look, work, die.
func (h *history) live(ctx context.Context) {
	switch n := h.rng.IntN(8); {
	case h.shape.restless && n > 3:
		h.disk.StopAfter(25 + h.rng.IntN(40)) // soon after a start
	case n < 2 && !h.shape.restless:
	case n < 4:
		h.disk.StopAfter(h.rng.IntN(30)) // during a start
	default:
		h.disk.StopAfter(h.rng.IntN(300))
	}
	if h.open(ctx) {
		h.work(ctx)
	}
	h.end(h.rng.IntN(4) == 0)
}

// open starts a life and checks what it finds. It reports whether the disk lived through that.
func (h *history) open(ctx context.Context) bool {
	s, err := h.start()
	if err != nil {
		if !h.disk.Stopped() {
			h.book.fault("Open: %v", err)
		}
		return false
	}
	h.spool = s
	st, err := h.look(ctx)
	if err != nil {
		if !h.disk.Stopped() {
			h.book.fault("after Open: %v", err)
		}
		return false
	}
	h.book.reconcile(st)
	return !h.book.faulty()
}

// work runs all actors until the disk stops or they have done enough.
func (h *history) work(ctx context.Context) {
	if h.shape.faulty {
		h.hurt()
	}
	c := &cutter{book: h.book, rng: h.fork(), disk: h.disk}
	q := &sender{book: h.book, rng: h.fork(), disk: h.disk, digs: h.digs}
	steps := []func(){func() { c.step(ctx, h.spool) }, func() { q.step(h.spool) }}
	for range 3 {
		p := &producer{book: h.book, rng: h.fork(), disk: h.disk, huge: h.shape.huge}
		steps = append(steps, func() { p.step(ctx, h.spool) })
	}
	steps = append(steps, func() { h.sum() })
	if h.keeper != nil {
		h.keeper.rng, h.keeper.disk = h.fork(), h.disk
		steps = append(steps, func() { h.keeper.step(ctx, h.spool, time.Millisecond) })
	}
	if h.shape.troubled {
		steps = append(steps, h.pester(h.fork()))
	}
	if h.shape.concurrent {
		h.together(steps)
	} else {
		h.inTurn(steps)
	}
}

// together runs every step again and again, each in its own goroutine, and waits for them.
func (h *history) together(steps []func()) {
	var all sync.WaitGroup
	for _, step := range steps {
		n := h.rng.IntN(40)
		all.Go(func() {
			for range n {
				if h.disk.Stopped() || h.book.faulty() {
					return
				}
				step()
			}
		})
	}
	all.Wait()
}

// inTurn runs random steps one after the other.
func (h *history) inTurn(steps []func()) {
	for range h.rng.IntN(150) {
		if h.disk.Stopped() || h.book.faulty() {
			return
		}
		steps[h.rng.IntN(len(steps))]()
	}
}

// sum checks what holds at every moment.
func (h *history) sum() {
	c := h.spool.Counts()
	if c.Accepted != c.Delivered+c.Dead+c.Pending+c.Lost || c.Lost != 0 && h.harm == "" {
		h.book.fault("counts do not add up: %+v", c)
	}
}

// hurt makes some operations of this life fail.
func (h *history) hurt() {
	for range 1 + h.rng.IntN(3) {
		ops := []disktest.Op{disktest.Write, disktest.Sync, disktest.SyncDir, disktest.Create | disktest.Allocate,
			disktest.Rename | disktest.Remove, disktest.Changing}
		h.disk.Inject(disktest.Fault{
			On:     ops[h.rng.IntN(len(ops))],
			Err:    faultErrors[h.rng.IntN(len(faultErrors))],
			Landed: disktest.Extent(h.rng.IntN(3)),
			Skip:   h.rng.IntN(40),
			Times:  1 + h.rng.IntN(6),
			Chance: []float64{0, 0.05, 0.3}[h.rng.IntN(3)],
		})
	}
}

// end ends a life, in good order or not.
func (h *history) end(orderly bool) {
	if !orderly {
		h.disk.Stop()
	}
	if h.keeper != nil {
		h.keeper.end()
	}
	if h.spool != nil {
		err := h.spool.Close()
		full := h.shape.capacity > 0 && errors.Is(err, syscall.ENOSPC)
		if err != nil && !h.disk.Stopped() && !h.shape.faulty && !h.shape.troubled && !full {
			h.book.fault("Close: %v", err)
		}
		h.spool = nil
	}
	h.crashes++
	h.trace = h.disk.Trace()
	h.disk = h.disk.next(h.shape.kills && h.rng.IntN(2) == 0)
	h.book.nextLife()
}

// drain is the last life: nothing fails any more, and everything gets through.
func (h *history) drain(ctx context.Context) {
	h.last = true
	h.disk.SetCapacity(0) // an operator freed space; before that, not everything can be delivered
	if !h.open(ctx) {
		return
	}
	c := &cutter{book: h.book, rng: h.fork(), disk: h.disk, tail: h.spool.Tail()}
	wait := time.Minute // for what is there: however busy the machine is
	if h.book.damaged {
		wait = 20 * time.Millisecond // unknown
	}
	for at := h.spool.Committed(); uint64(at) < h.spool.Counts().Accepted && c.read(ctx, wait); {
		at = c.upTo
	}
	for tries := 0; len(c.window) > 0 && !c.cut(h.spool); tries++ {
		if tries > 50 {
			h.book.fault("the last cut does not get through")
			return
		}
	}
	q := &sender{book: h.book, rng: h.fork(), disk: h.disk}
	for range 10_000 {
		if len(h.spool.Batches()) == 0 || h.book.faulty() {
			break
		}
		q.step(h.spool)
	}
	if h.keeper != nil && !h.book.faulty() {
		h.keeper.rng, h.keeper.disk = h.fork(), h.disk
		h.keeper.balance(ctx, h.spool)
	}
	h.probe(ctx)
	if counts := h.spool.Counts(); counts.Pending != uint64(h.fresh()) {
		h.book.fault("after the last delivery: %+v, %d came anew", counts, h.fresh())
	}
	h.end(true)
}

// probe sends every event with an id once more: exactly the ids of those that exist are in the dedupe set.
func (h *history) probe(ctx context.Context) {
	h.book.mu.Lock()
	entries := h.book.entries
	h.book.mu.Unlock()
	p := &producer{book: h.book, rng: h.fork(), disk: h.disk}
	for _, e := range entries {
		if e.event.ID == "" || e.at == isLost {
			continue
		}
		if !e.certain {
			e.tries = 0 // it is not there, so it is not a duplicate
		}
		p.send(ctx, h.spool, []*entry{e})
	}
}

// fresh counts the events that probe brought in.
func (h *history) fresh() (n int) {
	for _, e := range h.book.entries {
		if e.certain && e.at == nowhere {
			n++
		}
	}
	return n
}

// fork returns a source of randomness of its own for one goroutine.
func (h *history) fork() *rand.Rand { return rand.New(rand.NewPCG(h.rng.Uint64(), h.rng.Uint64())) }

// String says what the history was like.
func (h *history) String() string {
	return fmt.Sprintf("%+v, %d crashes, %d events, %s", h.shape, h.crashes, len(h.book.entries), h.harm)
}
