package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/cluster/jetdisk"
	"github.com/reporterd/reporterd/internal/backoff"
)

// A replica counts once it has opened a partition on an empty disk of its own, and does not count any more when it fails to open a
// partition while it owns none: other replicas keep their partitions instead of releasing some to a replica that cannot run them. It
// tries again with growing pauses.

// retryOpen is the pause after failures to open a partition.
var retryOpen = backoff.Policy{Base: time.Second, Max: time.Minute, Jitter: 0.5}

// checkTime limits one check.
const checkTime = 30 * time.Second

var errUnchecked = errors.New("it was not checked yet whether it can open partitions")

// openError is an error of Options.Open: it says something about this replica, or about what is on the disk.
type openError struct{ error }

func (e openError) Unwrap() error { return e.error }

// qualify checks whether this replica can open partitions, until the replica stops: at the start, and after each failure to open one
// while it owned none.
func (n *Node) qualify() {
	failures, logged := 0, ""
	for n.ctx.Err() == nil {
		err := n.check()
		n.setUnfit(err)
		n.announce()
		if err == nil {
			if logged != "" {
				n.log.Info("this replica can open partitions again and counts as one")
				logged = ""
			}
			passed := time.Now()
			select {
			case err = <-n.failed:
				if time.Since(passed) > retryOpen.Max {
					failures = 0
				}
			case <-n.ctx.Done():
				return
			}
		}
		failures++
		if text := err.Error(); text != logged && n.ctx.Err() == nil {
			logged = text
			n.log.Error("this replica cannot open partitions: it counts as absent and tries again", zap.Error(err))
		}
		n.wait(retryOpen.Delay(failures, 0))
	}
}

// check opens an empty disk of its own, and calls Options.Check with it.
func (n *Node) check() error {
	if n.o.Check == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(n.ctx, checkTime)
	defer cancel()
	prefix := n.o.Prefix + ".disk.check-" + n.id
	d, err := jetdisk.Open(ctx, jetdisk.Options{JetStream: n.js, Stream: n.o.Prefix, Prefix: prefix})
	if err != nil {
		return err
	}
	defer func() {
		d.Close()
		_ = n.stream.Purge(ctx, jetstream.WithPurgeSubject(prefix+".>"))
	}()
	return n.o.Check(ctx, d)
}

// openFailed records that a partition could not be opened.
func (n *Node) openFailed(err error) {
	if n.ownsAny() {
		return // it is about that partition
	}
	n.setUnfit(err)
	n.announce()
	select {
	case n.failed <- err:
	default: // qualify knows already
	}
}

func (n *Node) setUnfit(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unfit = err
}

func (n *Node) ownsAny() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.held) > 0
}

// Unfit returns why this replica cannot open partitions and does not count, or nil.
func (n *Node) Unfit() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.unfit == nil || len(n.held) > 0 {
		return nil
	}
	return fmt.Errorf("cluster: this replica cannot open partitions: %w", n.unfit)
}
