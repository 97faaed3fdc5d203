package batcher

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/reporterd/reporterd/spool"
)

// cut seals the window, all or nothing. When it fails the window is unchanged, and the same cut can be repeated.
func (b *Batcher) cut() error {
	if b.window.empty() {
		return nil
	}
	began := time.Now()
	fills, err := b.seal(began)
	if err != nil {
		return fmt.Errorf("batcher: cut up to %d: %w", b.read, err)
	}
	b.sealing.cut(began.Sub(b.accepted), time.Since(began), fills)
	b.window.reset()
	b.publish()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.sealed = b.read
	b.stats.Cuts++
	b.stats.Batches += uint64(len(fills))
	b.stats.LastCut = time.Since(began)
	close(b.progress)
	b.progress = make(chan struct{})
	return nil
}

// seal writes the window's batches and commits them: before that they do not exist, after that the journal up to here may be
// removed. The age of all of them is that of the window's first event. fills says how full each is.
func (b *Batcher) seal(now time.Time) (fills []fillStats, err error) {
	c, err := b.spool.BeginCut(b.read)
	if err != nil {
		return nil, err
	}
	for _, q := range b.window.queues {
		err := b.caps.split(headCost(q.LaneKey), q.transactions, func(run []spool.Transaction, total cost) error {
			fills = append(fills, b.caps.fillStats(len(run), total))
			return c.Add(&spool.Batch{
				Lane: q.LaneKey, FlatUsage: q.flat, OldestAccepted: b.accepted, Sealed: now, Transactions: run,
			})
		})
		if err != nil {
			return nil, errors.Join(err, c.Abort())
		}
	}
	return fills, c.Commit(b.window.nothing)
}

// last seals what was committed to the journal before Run ended. It does not wait for new events.
func (b *Batcher) last(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, lastRead)
	defer stop()
	for end := b.spool.Readable(); b.read < end; {
		g, err := b.tail.Next(ctx)
		if err != nil {
			return errors.Join(fmt.Errorf("batcher: read the rest of the journal: %w", err), b.cut())
		}
		b.take(g)
	}
	return b.cut()
}

// attempt repeats a step until it succeeds or ctx ends, and reports trouble when it begins and when it ends.
func (b *Batcher) attempt(ctx context.Context, step func() error) {
	for err := step(); err != nil; err = step() {
		b.fail(err)
		if !b.pause(ctx) {
			return
		}
	}
	b.recovered()
}

// fail counts a failure, and reports the first one in a row.
func (b *Batcher) fail(err error) {
	b.failures++
	if b.failures > 1 {
		return
	}
	b.failing = time.Now()
	if b.options.Trouble != nil {
		b.options.Trouble(Trouble{Err: err})
	}
}

// recovered ends a row of failures, and reports that.
func (b *Batcher) recovered() {
	if b.failures == 0 {
		return
	}
	over := Trouble{Lasted: time.Since(b.failing), Failures: b.failures}
	b.failures = 0
	if b.options.Trouble != nil {
		b.options.Trouble(over)
	}
}

// pause waits after a failure, longer after each in a row. It returns false if ctx ended.
func (b *Batcher) pause(ctx context.Context) bool {
	d := retryMax
	if b.failures < 8 {
		d = min(retryBase<<(b.failures-1), retryMax)
	}
	timer := time.NewTimer(d/2 + rand.N(d/2))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
