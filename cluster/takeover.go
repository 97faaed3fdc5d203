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

// takeover is the beginning of the work on a partition: all that its disk holds is read. It may take as long as it
// needs while something comes; a message says so, and nobody else begins.
type takeover struct {
	ctx    context.Context // ends with the replica, with done, and when nothing comes any more
	cancel context.CancelCauseFunc
	read   atomic.Bool // something was, since the last look
}

const (
	// quiet is how long nothing may come of a disk before that is said.
	quiet = 5 * time.Second

	// stopTime bounds how long nothing may come of a disk before others have their turn, and the end of the work on it.
	stopTime = 20 * time.Second
)

var errStill = errors.New("nothing of its disk came for " + stopTime.String())

// begin begins a takeover, which done ends.
func (n *Node) begin(partition int, token jetstream.Msg) *takeover {
	t := &takeover{}
	t.ctx, t.cancel = context.WithCancelCause(n.ctx)
	n.work.Go(func() { t.watch(n.o.PinTTL/4, n.log.With(zap.Int("partition", partition)), token) }) // ends with ctx
	return t
}

// reading notes that something came. It may be called concurrently, and after done.
func (t *takeover) reading() { t.read.Store(true) }

// done ends it: the disk has been read, or cannot be.
func (t *takeover) done() { t.cancel(context.Canceled) }

// failure is why it ended: err, unless there is a reason before that.
func (t *takeover) failure(err error) error {
	if cause := context.Cause(t.ctx); cause != nil && !errors.Is(err, cause) {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// watch tells the servers that the partition is being taken over, until ctx ends or nothing comes.
func (t *takeover) watch(every time.Duration, log *zap.Logger, token jetstream.Msg) {
	beat := time.NewTicker(every)
	defer beat.Stop()
	last, said := time.Now(), false
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
			t.cancel(errStill)
			return
		case still > quiet && !said:
			said = true
			log.Warn("a partition is being taken over, and nothing of its disk comes", zap.Duration("for", still.Round(time.Millisecond)))
		}
		_ = token.InProgress() // the next one may get through
	}
}
