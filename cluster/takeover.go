package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// takeover is the first part of the work on a partition: its disk is read. It may take any time as long as data arrives;
// meanwhile the message of the partition is confirmed, so that no other replica begins.
type takeover struct {
	ctx    context.Context // ends with the replica, with done, and when no data arrives any more
	cancel context.CancelCauseFunc
	read   atomic.Bool // data arrived since the last check
}

const (
	// warnAfter is how long no data may arrive before that is logged.
	warnAfter = 5 * time.Second

	// stopTime is how long no data may arrive before another replica gets its turn, and limits Member.Stop.
	stopTime = 20 * time.Second
)

var errNoData = errors.New("no data arrived from its disk for " + stopTime.String())

// begin begins a takeover; done ends it.
func (n *Node) begin(partition int, token jetstream.Msg, ttl time.Duration) *takeover {
	t := &takeover{}
	t.ctx, t.cancel = context.WithCancelCause(n.ctx)
	n.work.Go(func() { t.watch(ttl/4, n.log.With(zap.Int("partition", partition)), token) }) // ends with ctx
	return t
}

// reading records that data arrived. It may be called concurrently, and after done.
func (t *takeover) reading() { t.read.Store(true) }

// done ends the takeover: the disk was read, or reading failed.
func (t *takeover) done() { t.cancel(context.Canceled) }

// failure returns why the takeover ended: the cause of the context's end, if there is one, and err.
func (t *takeover) failure(err error) error {
	if cause := context.Cause(t.ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// watch confirms the partition's message while it is being taken over, until ctx ends or no data arrives.
func (t *takeover) watch(every time.Duration, log *zap.Logger, token jetstream.Msg) {
	beat := time.NewTicker(every)
	defer beat.Stop()
	last, logged := time.Now(), false
	for {
		select {
		case <-beat.C:
		case <-t.ctx.Done():
			return
		}
		if t.read.Swap(false) {
			last = time.Now()
		}
		switch still := time.Since(last); {
		case still > stopTime:
			t.cancel(errNoData)
			return
		case still > warnAfter && !logged:
			logged = true
			log.Warn("no data arrives from the disk of a partition that is being taken over", zap.Duration("for", still.Round(time.Millisecond)))
		}
		_ = token.InProgress() // if it is lost, the next one may arrive
	}
}
