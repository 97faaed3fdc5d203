package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/cluster/jetdisk"
	"go.uber.org/zap"
)

// holding is a partition that this replica owns.
type holding struct {
	partition int
	ttl       time.Duration // how long the servers wait for a confirmation
	epoch     uint64
	disk      *jetdisk.Disk
	member    Member
	release   context.CancelFunc // releases the partition

	calls, answers parts // of calls and answers that do not fit into a message
}

// checkInterval is the pause before the next attempt to get a partition, and between checks of an owned one.
const checkInterval = 250 * time.Millisecond

// acquire gets a partition and works on it, repeatedly, until the replica stops.
func (n *Node) acquire(p int) {
	if !n.wait(2 * announceEvery) { // until the other replicas are known
		return
	}
	var failing time.Time
	logged, failures := false, 0
	for n.wait(checkInterval) {
		if n.Unfit() != nil || n.hasShare() {
			continue
		}
		token, ttl, err := n.fetch(p)
		switch {
		case err == nil && logged:
			n.log.Info("the NATS servers answer requests for a partition again", zap.Int("partition", p), zap.Duration("after", time.Since(failing).Round(time.Millisecond)))
			failing, logged = time.Time{}, false
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > warnAfter && !logged:
			logged = true
			n.log.Warn("the NATS servers do not answer requests for a partition", zap.Int("partition", p), zap.Error(err))
		}
		switch {
		case token == nil:
		case n.hold(p, token, ttl):
			failures = 0
		default:
			failures++
			n.wait(retryOpen.Delay(failures, 0))
		}
	}
}

// wait waits for d. It returns false if the replica stops.
func (n *Node) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
	case <-n.ctx.Done():
	}
	return n.ctx.Err() == nil
}

// hasShare reports whether this replica has its share of the partitions.
func (n *Node) hasShare() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.held) >= n.shareLocked()
}

// shareLocked returns how many partitions each replica has when they are distributed evenly.
func (n *Node) shareLocked() int {
	return (n.o.Partitions + len(n.here)) / (len(n.here) + 1)
}

// fetch requests the message of a partition, and returns how long the servers wait for a confirmation of it, or PinTTL if that is
// shorter. nil: another replica has the message.
func (n *Node) fetch(p int) (jetstream.Msg, time.Duration, error) {
	ctx, cancel := context.WithTimeout(n.ctx, 5*time.Second)
	defer cancel()
	consumer, err := n.stream.Consumer(ctx, consumerOf(p))
	if err != nil {
		return nil, 0, err
	}
	ttl := min(n.o.PinTTL, consumer.CachedInfo().Config.AckWait)
	batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		return nil, 0, err
	}
	for m := range batch.Messages() {
		return m, ttl, nil
	}
	return nil, 0, batch.Error()
}

// takeOver reads the partition's disk, and begins to work on the partition.
func (n *Node) takeOver(p int, token jetstream.Msg, ttl time.Duration) (*holding, error) {
	t := n.begin(p, token, ttl)
	defer t.done()
	d, err := jetdisk.Open(t.ctx, jetdisk.Options{
		JetStream: n.js, Stream: n.o.Prefix, Prefix: n.o.Prefix + ".disk." + strconv.Itoa(p), Reading: t.reading,
		SetAside: func(subject string, seq uint64, why error) {
			n.log.Warn("a message in the subjects of a partition's disk is none of a disk and is ignored: who may publish there?",
				zap.Int("partition", p), zap.String("subject", subject), zap.Uint64("sequence", seq), zap.Error(why))
		},
	})
	if err != nil {
		return nil, t.failure(err)
	}
	working := context.AfterFunc(t.ctx, d.Close)
	member, err := n.o.Open(t.ctx, p, d)
	switch {
	case err != nil && t.ctx.Err() == nil && d.Dead() == nil:
		d.Close()
		return nil, openError{err}
	case err == nil && !working(): // the takeover ended before
		stopping, enough := context.WithTimeout(context.Background(), n.o.StopTime)
		defer enough()
		member.Stop(stopping, false)
		err = t.ctx.Err()
	}
	if err != nil {
		d.Close()
		return nil, t.failure(err)
	}
	return &holding{partition: p, ttl: ttl, epoch: d.Epoch(), disk: d, member: member}, nil
}

// hold works on a partition as long as this replica owns it. It returns false if the partition could not be taken over.
func (n *Node) hold(p int, token jetstream.Msg, ttl time.Duration) bool {
	begun := time.Now()
	h, err := n.takeOver(p, token, ttl)
	n.opened(p, err)
	if err != nil {
		if n.ctx.Err() == nil {
			n.log.Warn("cannot take over a partition, retrying", zap.Int("partition", p), zap.Error(err))
		}
		if time.Since(begun) < ttl { // no other replica can have the message yet; later, a Nak might hit its next owner
			_ = token.Nak()
		}
		if errors.As(err, &openError{}) {
			n.openFailed(err)
		}
		return false
	}
	defer h.disk.Close()
	held, release := context.WithCancel(n.ctx)
	h.release = release
	defer release()
	answers, err := n.o.Conn.Subscribe(n.callSubject(p, h.epoch), func(m *nats.Msg) { go n.answer(h, m) })
	if err != nil {
		n.log.Error("cannot subscribe to the calls for a partition", zap.Int("partition", p), zap.Error(err))
	}
	n.addHeld(h)
	n.log.Info("partition taken over", zap.Int("partition", p), zap.Duration("took", time.Since(begun).Round(time.Millisecond)))
	why := n.confirm(held, h, token)
	n.removeHeld(h)
	onPurpose := n.stopMember(h, token) && held.Err() != nil
	if answers != nil {
		_ = answers.Unsubscribe()
	}
	// Only a partition that was released on purpose is passed on at once. A replica that lost the partition has also lost the
	// message: the servers do not check whose Nak it is, and would take the message from its new owner.
	if onPurpose {
		_ = token.Nak()
	}
	n.log.Info("partition released", zap.Int("partition", p), zap.String("why", why))
	return true
}

// stopMember stops the work on a partition. Until that is done, it confirms the partition's message, so that no other replica begins while
// reports are in flight. It returns whether the partition is still this replica's.
func (n *Node) stopMember(h *holding, token jetstream.Msg) bool {
	ctx, cancel := context.WithTimeout(n.stopContext(), n.o.StopTime)
	defer cancel()
	done, kept := make(chan struct{}), make(chan bool, 1)
	clean := h.disk.Dead() == nil
	if clean {
		go func() { // ends with done
			kept <- n.keep(h, token, done)
			cancel() // the disk cannot be written to any more, or Stop has returned
		}()
	} else {
		kept <- false
	}
	h.member.Stop(ctx, clean)
	close(done)
	return <-kept && h.disk.Dead() == nil
}

// stopContext returns the context of Stop, or one that does not end.
func (n *Node) stopContext() context.Context {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopBy != nil {
		return n.stopBy
	}
	return context.Background()
}

// keep confirms a partition's message until done is closed, and returns true then; false as soon as this replica has lost the partition.
func (n *Node) keep(h *holding, token jetstream.Msg, done <-chan struct{}) bool {
	beat := time.NewTicker(h.ttl / 4)
	defer beat.Stop()
	for confirmed := time.Now(); ; {
		if _, err := n.o.Conn.Request(token.Reply(), []byte("+WPI"), h.ttl/4); err == nil {
			confirmed = time.Now()
		}
		if h.disk.Dead() != nil || time.Since(confirmed) > h.ttl {
			return false
		}
		select {
		case <-beat.C:
		case <-done:
			return true
		}
	}
}

// confirm confirms that the partition is being worked on, until that ends, and returns why.
func (n *Node) confirm(held context.Context, h *holding, token jetstream.Msg) (why string) {
	confirmed := time.Now()
	beat := time.NewTicker(h.ttl / 4)
	defer beat.Stop()
	look := time.NewTicker(checkInterval)
	defer look.Stop()
	for {
		select {
		case <-held.Done():
			if n.ctx.Err() != nil {
				return "this replica stops"
			}
			return "another replica has fewer partitions"
		case <-beat.C:
			// Waits for the servers' answer; nats.go's InProgress does not.
			if _, err := n.o.Conn.Request(token.Reply(), []byte("+WPI"), h.ttl/4); err == nil {
				confirmed = time.Now()
			} else if n.ctx.Err() == nil && time.Since(confirmed) > h.ttl/2 {
				go n.reconnect() // ends with its own timeout
			}
		case <-look.C:
		}
		switch {
		case h.disk.Dead() != nil:
			return h.disk.Dead().Error()
		case time.Since(confirmed) > h.ttl:
			return fmt.Sprintf("the servers have not answered for %v", h.ttl)
		case n.superseded(h):
			return "another replica has taken it over"
		}
		n.rebalance()
	}
}

// addHeld and removeHeld change the set of partitions that this replica owns.
func (n *Node) addHeld(h *holding) {
	n.mu.Lock()
	n.held[h.partition] = h
	n.taken++
	n.mu.Unlock()
	n.announce()
}

func (n *Node) removeHeld(h *holding) {
	n.mu.Lock()
	delete(n.held, h.partition)
	if n.owners[h.partition].node == n.id {
		delete(n.owners, h.partition)
	}
	n.mu.Unlock()
	n.announce()
}

// superseded reports whether another replica says that it has owned the partition since then.
func (n *Node) superseded(h *holding) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.owners[h.partition]
	return o.node != n.id && o.epoch > h.epoch
}

// rebalance releases one partition when other replicas have fewer.
func (n *Node) rebalance() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.held) <= n.shareLocked() {
		return
	}
	for p, h := range n.held {
		delete(n.held, p) // it does not count any more
		h.release()
		return
	}
}
