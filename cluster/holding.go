package cluster

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/cluster/jetdisk"
	"go.uber.org/zap"
)

// holding is a partition of this replica.
type holding struct {
	partition int
	epoch     uint64
	disk      *jetdisk.Disk
	member    Member
	release   context.CancelFunc // gives it back

	calls, answers parts // that do not fit into a message
}

// restless is the pause before the next attempt to get a partition, and between looks at one that is held.
const restless = 250 * time.Millisecond

// seek gets one partition and works on it, again and again, until the replica stops.
func (n *Node) seek(p int) {
	if !n.rest(2 * tellEvery) { // until it is known who else is here
		return
	}
	var failing time.Time
	said := false
	for n.rest(restless) {
		if n.sated() {
			continue
		}
		token, err := n.fetch(p)
		switch {
		case err == nil && said:
			n.log.Info("the servers answer for a partition again", zap.Int("partition", p), zap.Duration("after", time.Since(failing).Round(time.Millisecond)))
			failing, said = time.Time{}, false
		case err == nil:
			failing = time.Time{}
		case failing.IsZero():
			failing = time.Now()
		case time.Since(failing) > quiet && !said:
			said = true
			n.log.Warn("the servers do not say who has a partition", zap.Int("partition", p), zap.Error(err))
		}
		if token != nil {
			n.hold(p, token)
		}
	}
}

// rest waits, and reports whether the replica goes on.
func (n *Node) rest(d time.Duration) bool {
	select {
	case <-time.After(d):
	case <-n.ctx.Done():
	}
	return n.ctx.Err() == nil
}

// sated reports whether this replica has its share of the partitions already.
func (n *Node) sated() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.held) >= n.share()
}

// share is how many partitions each replica has when they are spread evenly. The mutex is held.
func (n *Node) share() int {
	return (n.o.Partitions + len(n.here)) / (len(n.here) + 1)
}

// fetch asks for the message of a partition; nil: another replica has it.
func (n *Node) fetch(p int) (jetstream.Msg, error) {
	ctx, cancel := context.WithTimeout(n.ctx, 5*time.Second)
	defer cancel()
	consumer, err := n.stream.Consumer(ctx, "owner-"+strconv.Itoa(p))
	if err != nil {
		return nil, err
	}
	batch, err := consumer.Fetch(1, jetstream.FetchMaxWait(time.Second))
	if err != nil {
		return nil, err
	}
	for m := range batch.Messages() {
		return m, nil
	}
	return nil, batch.Error()
}

// takeOver reads all that a partition's disk holds, and begins to work on it.
func (n *Node) takeOver(p int, token jetstream.Msg) (*holding, error) {
	t := n.begin(p, token)
	defer t.done()
	d, err := jetdisk.Open(t.ctx, jetdisk.Options{
		JetStream: n.js, Stream: n.o.Prefix, Prefix: n.o.Prefix + ".disk." + strconv.Itoa(p), MaxBytes: n.o.MaxBytes, Reading: t.reading,
	})
	if err != nil {
		return nil, t.failure(err)
	}
	working := context.AfterFunc(t.ctx, d.Close)
	member, err := n.o.Open(t.ctx, p, d)
	if err == nil && !working() { // it came too late
		stopping, enough := context.WithTimeout(context.Background(), stopTime)
		defer enough()
		member.Stop(stopping, false)
		err = t.ctx.Err()
	}
	if err != nil {
		d.Close()
		return nil, t.failure(err)
	}
	return &holding{partition: p, epoch: d.Epoch(), disk: d, member: member}, nil
}

// hold works on a partition for as long as it is ours.
func (n *Node) hold(p int, token jetstream.Msg) {
	begun := time.Now()
	h, err := n.takeOver(p, token)
	if err != nil {
		switch {
		case n.ctx.Err() == nil: // the servers hand the message on after PinTTL; refused, it might be somebody else's
			n.log.Warn("a partition cannot be taken over: it is tried again", zap.Int("partition", p), zap.Error(err))
		case time.Since(begun) < n.o.PinTTL: // nobody else can have it yet
			_ = token.Nak()
		}
		return
	}
	defer h.disk.Close()
	held, release := context.WithCancel(n.ctx)
	h.release = release
	defer release()
	answers, err := n.o.Conn.Subscribe(n.callSubject(p, h.epoch), func(m *nats.Msg) { go n.answer(h, m) })
	if err != nil {
		n.log.Error("a partition cannot be announced", zap.Int("partition", p), zap.Error(err))
	}
	n.take(h)
	n.log.Info("partition taken over", zap.Int("partition", p), zap.Duration("took", time.Since(begun).Round(time.Millisecond)))
	why := n.keep(held, h, token)
	n.drop(h)
	clean := h.disk.Dead() == nil
	stopping, enough := context.WithTimeout(context.Background(), stopTime)
	defer enough()
	h.member.Stop(stopping, clean)
	if answers != nil {
		_ = answers.Unsubscribe()
	}
	// Only what was given back by intent is handed on at once. Whoever lost the partition has lost the message, too: the
	// servers do not look whose refusal it is, and would take it from its new owner.
	if clean && held.Err() != nil {
		_ = token.Nak()
	}
	n.log.Info("partition given up", zap.Int("partition", p), zap.String("why", why))
}

// keep says that the partition is being worked on, until that is not so any more, and returns why.
func (n *Node) keep(held context.Context, h *holding, token jetstream.Msg) (why string) {
	confirmed := time.Now()
	beat := time.NewTicker(n.o.PinTTL / 4)
	defer beat.Stop()
	look := time.NewTicker(restless)
	defer look.Stop()
	for {
		select {
		case <-held.Done():
			if n.ctx.Err() != nil {
				return "the replica stops"
			}
			return "another replica has less"
		case <-beat.C:
			// The servers answer, which nats.go's InProgress does not wait for.
			if _, err := n.o.Conn.Request(token.Reply(), []byte("+WPI"), n.o.PinTTL/4); err == nil {
				confirmed = time.Now()
			} else if n.ctx.Err() == nil && time.Since(confirmed) > n.o.PinTTL/2 {
				go n.shake() // ends with its own timeout
			}
		case <-look.C:
		}
		switch {
		case h.disk.Dead() != nil:
			return h.disk.Dead().Error()
		case time.Since(confirmed) > n.o.PinTTL:
			return fmt.Sprintf("the servers have not answered for %v", n.o.PinTTL)
		case n.succeeded(h):
			return "another replica took it over"
		}
		n.spread()
	}
}

// take and drop note what this replica holds.
func (n *Node) take(h *holding) {
	n.mu.Lock()
	n.held[h.partition] = h
	n.taken++
	n.mu.Unlock()
	n.announce()
}

func (n *Node) drop(h *holding) {
	n.mu.Lock()
	delete(n.held, h.partition)
	if n.owners[h.partition].node == n.id {
		delete(n.owners, h.partition)
	}
	n.mu.Unlock()
	n.announce()
}

// succeeded reports whether another replica says that it owns the partition since then.
func (n *Node) succeeded(h *holding) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.owners[h.partition]
	return o.node != n.id && o.epoch > h.epoch
}

// spread gives one partition back when others have room for it.
func (n *Node) spread() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.held) <= n.share() {
		return
	}
	for p, h := range n.held {
		delete(n.held, p) // it counts no more
		h.release()
		return
	}
}
