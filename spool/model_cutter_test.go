package spool_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
)

// cutter does what the batcher does: it reads the tail into a window, and seals it now and then.
type cutter struct {
	book   *book
	rng    *rand.Rand
	disk   platform
	tail   *spool.Tail
	window []*entry
	upTo   spool.Position // the last one in the window
}

// step reads one group, and cuts with some chance.
func (c *cutter) step(ctx context.Context, s *spool.Spool) {
	if c.tail == nil {
		c.tail = s.Tail()
	}
	c.read(ctx, time.Millisecond)
	if len(c.window) > 0 && c.rng.IntN(4) == 0 {
		c.cut(s)
	}
}

// read takes a group into the window, if there is one before long. It reports whether there was.
func (c *cutter) read(ctx context.Context, wait time.Duration) bool {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	group, err := c.tail.Next(ctx)
	if err != nil {
		return false
	}
	if c.upTo != 0 && group.First != c.upTo+1 && !c.book.damaged {
		c.book.fault("the tail goes on with %d after %d", group.First, c.upTo)
	}
	c.window = append(c.window, receive(group, c.book)...)
	c.upTo = group.Last
	return true
}

// cut seals the window, and reports whether that is durable.
func (c *cutter) cut(s *spool.Spool) bool {
	plan := c.plan()
	before := s.Committed()
	cut, err := s.BeginCut(plan.upTo)
	if err != nil {
		return false
	}
	defer func() {
		if err := cut.Abort(); err != nil && !c.disk.Stopped() && !isFault(err) {
			c.book.fault("Abort: %v", err)
		}
	}()
	for _, sealed := range plan.batches {
		if cut.Add(&sealed.batch) != nil {
			return false
		}
	}
	if c.rng.IntN(10) == 0 {
		return false // aborted
	}
	c.book.committing(plan)
	if err := cut.Commit(uint64(len(plan.nothing))); err != nil {
		if !c.disk.Stopped() && s.Committed() != before {
			c.book.fault("Commit failed (%v), and everything up to %d is sealed", err, s.Committed())
		}
		return false
	}
	c.book.commit(plan)
	c.window = nil
	return true
}

// plan sorts the window into batches of one lane and at most a few transactions, each of one event or
// of several without a code.
func (c *cutter) plan() *cutPlan {
	plan := &cutPlan{upTo: c.upTo}
	type lane struct {
		spool.LaneKey
		flat bool
	}
	open := map[lane]*sealed{}
	for _, e := range c.window {
		if len(e.event.Usage) == 0 {
			plan.nothing = append(plan.nothing, e)
			continue
		}
		key := lane{spool.LaneKey{ServiceID: e.event.ServiceID, Credentials: e.event.Credentials}, e.event.FlatUsage}
		s := open[key]
		if s == nil || len(s.entries) >= 4 {
			s = &sealed{batch: spool.Batch{Lane: key.LaneKey, FlatUsage: key.flat}}
			open[key] = s
			plan.batches = append(plan.batches, s)
		}
		s.add(e)
	}
	return plan
}

// add puts an event into the batch, into its last transaction when the two may be merged.
func (s *sealed) add(e *entry) {
	if n := len(s.batch.Transactions); n > 0 {
		last := &s.batch.Transactions[n-1]
		if last.Application == e.event.Application && last.Code == 0 && e.event.Code == 0 && last.Events < 3 {
			last.Usage = append(last.Usage[:len(last.Usage):len(last.Usage)], e.event.Usage...)
			last.Events++
			s.entries[n-1] = append(s.entries[n-1], e)
			return
		}
	}
	s.batch.Transactions = append(s.batch.Transactions, spool.Transaction{Transaction: e.event.Transaction, Events: 1})
	s.entries = append(s.entries, []*entry{e})
}

// isFault reports whether an error is one of those that a life is given.
func isFault(err error) bool {
	var refused *event.Refused
	if errors.Is(err, spool.ErrDamaged) {
		return false
	}
	for _, errno := range slices.Concat(faultErrors, troubleErrors) {
		if errors.Is(err, errno) {
			return true
		}
	}
	return errors.As(err, &refused)
}
