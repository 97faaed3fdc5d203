package nats

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// acks are acknowledgements on their way: the server confirms each (a double acknowledgement), and a group's
// are under way together.
type acks struct {
	conn    *nats.Conn
	inbox   string // before the number of a round
	confirm func(n uint64)
	missing func(n uint64)

	mu     sync.Mutex // guards what follows
	last   uint64
	rounds map[uint64]*round
	idle   sync.Cond // with mu: there is no round
}

// round is one group.
type round struct {
	left  int
	timer *time.Timer // gives it up
}

// confirmTimeout is how long a confirmation may take. What has none by then may be delivered again, and counts
// once all the same, by its id.
const confirmTimeout = 10 * time.Second

// confirmed subscribes to the confirmations. The subscription ends with the connection.
func (b *Bus) confirmed() (*acks, error) {
	a := &acks{conn: b.conn, inbox: nats.NewInbox() + ".", rounds: make(map[uint64]*round)}
	a.idle.L = &a.mu
	a.confirm = func(n uint64) { b.counters.acknowledged.Add(n) }
	a.missing = func(n uint64) { b.counters.unconfirmed.Add(n) }
	sub, err := b.conn.Subscribe(a.inbox+"*", a.came)
	if err == nil {
		err = sub.SetPendingLimits(-1, -1)
	}
	return a, err
}

var ackBody = []byte("+ACK")

// send acknowledges messages, and returns before that is confirmed.
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
	a.rounds[number] = &round{left: n, timer: time.AfterFunc(confirmTimeout, func() { a.end(number, n, false) })}
	return number
}

// came takes one confirmation.
func (a *acks) came(m *nats.Msg) {
	if number, err := strconv.ParseUint(strings.TrimPrefix(m.Subject, a.inbox), 36, 64); err == nil {
		a.end(number, 1, true)
	}
}

// end takes n messages out of a round, at most what is left of it.
func (a *acks) end(number uint64, n int, confirmed bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.rounds[number]
	if r == nil {
		return
	}
	n = min(n, r.left)
	if r.left -= n; r.left == 0 {
		r.timer.Stop()
		delete(a.rounds, number)
		if len(a.rounds) == 0 {
			a.idle.Broadcast()
		}
	}
	if confirmed {
		a.confirm(uint64(n))
	} else {
		a.missing(uint64(n))
	}
}

// settle returns once nothing is under way, or ctx ends.
func (a *acks) settle(ctx context.Context) error {
	return wait(ctx, func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		for len(a.rounds) > 0 { // each ends after confirmTimeout at the latest
			a.idle.Wait()
		}
	})
}
