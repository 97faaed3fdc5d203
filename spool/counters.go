package spool

import "sync"

// counters hold the counts. Each method moves events from one figure to another under one lock, so that the equation of Counts
// holds in every snapshot (I12). All methods may be called concurrently.
type counters struct {
	mu     sync.Mutex // guards counts
	counts Counts
}

func (t *counters) snapshot() Counts {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.counts
}

func (t *counters) update(f func(*Counts)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.counts)
}

func (t *counters) accepted(n uint64) {
	t.update(func(c *Counts) { c.Accepted += n; c.Pending += n })
}

func (t *counters) duplicates(n uint64) { t.update(func(c *Counts) { c.Duplicates += n }) }

func (t *counters) ambiguous(n uint64) { t.update(func(c *Counts) { c.Ambiguous += n }) }

func (t *counters) delivered(n uint64) {
	t.update(func(c *Counts) { c.Delivered += n; c.Pending -= n })
}

func (t *counters) resolved(delivered, dead uint64) {
	t.update(func(c *Counts) { c.Delivered += delivered; c.Dead += dead; c.Pending -= delivered + dead })
}

func (t *counters) lost(n uint64) {
	t.update(func(c *Counts) { c.Lost += n; c.Pending -= n })
}

// requeued makes dead events pending again. If recovery from damage has already reduced Dead, the rest is taken from the other
// figures, so that the equation holds.
func (t *counters) requeued(n uint64) {
	t.update(func(c *Counts) {
		c.Pending += n
		for _, figure := range []*uint64{&c.Dead, &c.Lost, &c.Delivered} {
			some := min(*figure, n)
			*figure, n = *figure-some, n-some
		}
		c.Pending -= n
	})
}

// reconcile sets Accepted and Pending to what recovery found on disk, and derives the rest. Missing events are lost. If there are
// more events than were accepted, the record that ended a batch is damaged and the batch is live again: its events are subtracted
// from the figures that counted them (undone).
func (t *counters) reconcile(accepted, pending uint64) (lost, undone uint64) {
	t.update(func(c *Counts) {
		c.Accepted, c.Pending = accepted, pending
		known := c.Delivered + c.Dead + c.Pending + c.Lost
		if known <= accepted {
			lost = accepted - known
			c.Lost += lost
			return
		}
		undone = known - accepted
		for _, figure := range []*uint64{&c.Delivered, &c.Dead, &c.Lost} {
			n := min(*figure, known-accepted)
			*figure, known = *figure-n, known-n
		}
	})
	return lost, undone
}
