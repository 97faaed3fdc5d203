package nats

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// acks sends acknowledgements and counts the server's confirmations (double acknowledgement). Those of a group of messages
// are in flight together. It is safe for concurrent use.
type acks struct {
	conn    *nats.Conn
	inbox   string // what the subjects of confirmations begin with; the number of the group follows
	confirm func(n uint64)
	missing func(n uint64)

	mu     sync.Mutex // guards what follows
	last   uint64
	groups map[uint64]*ackGroup
	idle   sync.Cond // with mu: groups is empty
}

// ackGroup is the acknowledgements that were sent together.
type ackGroup struct {
	left  int         // not confirmed yet
	timer *time.Timer // ends the wait for confirmations after confirmTimeout
}

// confirmTimeout is how long a confirmation may take. A message without one by then may be delivered again, and still counts
// once.
const confirmTimeout = 10 * time.Second

// newAcks subscribes to the confirmations. The subscription ends with the connection.
func (b *Bridge) newAcks() (*acks, error) {
	a := &acks{conn: b.conn, inbox: nats.NewInbox() + ".", groups: make(map[uint64]*ackGroup)}
	a.idle.L = &a.mu
	a.confirm = func(n uint64) { b.counters.acknowledged.Add(n) }
	a.missing = func(n uint64) { b.counters.unconfirmed.Add(n) }
	sub, err := b.conn.Subscribe(a.inbox+"*", a.received)
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	return a, err
}

var ackBody = []byte("+ACK")

// send acknowledges messages. It returns before the server has confirmed that.
func (a *acks) send(group []*message) {
	number := a.begin(len(group))
	reply := a.inbox + strconv.FormatUint(number, 36)
	for i, m := range group {
		if a.conn.PublishMsg(&nats.Msg{Subject: m.stream.Reply(), Reply: reply, Data: ackBody}) != nil {
			a.end(number, len(group)-i, false)
			return
		}
	}
}

func (a *acks) begin(n int) (number uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.last++
	number = a.last
	a.groups[number] = &ackGroup{left: n, timer: time.AfterFunc(confirmTimeout, func() { a.end(number, n, false) })}
	return number
}

// received counts one confirmation. nats.go calls it from a goroutine of the subscription.
func (a *acks) received(m *nats.Msg) {
	if number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.inbox), 36, 64); err == nil {
		a.end(number, 1, true)
	}
}

// end removes n messages from a group, at most as many as are left in it.
func (a *acks) end(number uint64, n int, confirmed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.groups[number]
	if r == nil {
		return
	}
	n = min(n, r.left)
	if r.left -= n; r.left == 0 {
		r.timer.Stop()
		delete(a.groups, number)
		if len(a.groups) == 0 {
			a.idle.Broadcast()
		}
	}
	if confirmed {
		a.confirm(uint64(n))
	} else {
		a.missing(uint64(n))
	}
}

// drain returns once every acknowledgement was confirmed or has timed out, or ctx ends.
func (a *acks) drain(ctx context.Context) error {
	return wait(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for len(a.groups) > 0 { // each ends after confirmTimeout at the latest
			a.idle.Wait()
		}
	})
}
