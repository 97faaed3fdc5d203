package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrNoOwner is wrapped by the error of a Call that reached no owner: nothing was done.
var ErrNoOwner = errors.New("the partition has no owner now")

// ErrUnanswered is wrapped by the error of a Call without an answer: it is unknown what was done.
var ErrUnanswered = errors.New("the owner of the partition did not answer")

const (
	kindHeader  = "Reporterd-Kind"
	errorHeader = "Reporterd-Error"
)

// callSubject returns the subject of calls to the owner of a partition. A former owner does not receive them.
func (n *Node) callSubject(p int, epoch uint64) string {
	return n.o.Prefix + ".call." + strconv.Itoa(p) + "." + strconv.FormatUint(epoch, 10)
}

// Call calls the owner of a partition, which may be this replica. It waits for an owner for patience at most, and for the answer
// until ctx ends. Errors of the owner have only their text.
func (n *Node) Call(ctx context.Context, p int, kind string, data []byte, patience time.Duration) ([]byte, error) {
	for deadline := time.Now().Add(patience); ; {
		h, o, change := n.find(p)
		if h != nil {
			return h.member.Answer(ctx, kind, data)
		}
		if o.node != "" {
			answer, err := n.request(ctx, p, o.epoch, kind, data)
			if !errors.Is(err, nats.ErrNoResponders) {
				return answer, err
			}
			n.forget(p, o.epoch)
		}
		wait := time.NewTimer(time.Until(deadline))
		select {
		case <-change:
			wait.Stop()
		case <-ctx.Done():
			wait.Stop()
			return nil, ctx.Err()
		case <-wait.C:
			return nil, fmt.Errorf("cluster: partition %d: %w", p, ErrNoOwner)
		}
	}
}

// Read is a Call for a question that may be asked twice. If the owner is gone before it has answered, it asks the next one.
func (n *Node) Read(ctx context.Context, p int, kind string, data []byte, patience time.Duration) ([]byte, error) {
	for {
		asking, cancel := context.WithCancel(ctx)
		go n.cancelWhenMoved(asking, cancel, p)
		answer, err := n.Call(asking, p, kind, data, patience)
		moved := asking.Err() != nil && ctx.Err() == nil
		cancel()
		if err == nil || !moved {
			return answer, err
		}
	}
}

// cancelWhenMoved calls cancel once the partition has another owner than now, or none any more. It returns when ctx ends.
func (n *Node) cancelWhenMoved(ctx context.Context, cancel context.CancelFunc, p int) {
	tick := time.NewTicker(announceEvery)
	defer tick.Stop()
	var asked uint64
	for {
		_, o, change := n.find(p)
		switch {
		case asked == 0:
			asked = o.epoch // still 0 without an owner
		case o.epoch != asked:
			cancel()
			return
		}
		select {
		case <-change:
		case <-tick.C: // an owner that is gone changes nothing
		case <-ctx.Done():
			return
		}
	}
}

// Await returns once the partition has a known owner, which may be this replica. After patience, the error wraps ErrNoOwner.
func (n *Node) Await(ctx context.Context, p int, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		h, o, change := n.find(p)
		if h != nil || o.node != "" {
			return nil
		}
		select {
		case <-change:
		case <-ctx.Done():
			return fmt.Errorf("cluster: partition %d: %w", p, ErrNoOwner)
		}
	}
}

// Local returns the member of a partition that this replica owns.
func (n *Node) Local(p int) (Member, bool) {
	h, _, _ := n.find(p)
	if h == nil {
		return Member{}, false
	}
	return h.member, true
}

func (n *Node) find(p int) (*holding, owner, <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	o := n.owners[p]
	if time.Since(o.seen) > goneAfter {
		o = owner{}
	}
	return n.held[p], o, n.change
}

// forget removes an owner that does not answer.
func (n *Node) forget(p int, epoch uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.owners[p].epoch == epoch {
		delete(n.owners, p)
	}
}

// request sends a call, in as many messages as it needs, and fetches the answer. If the error wraps nats.ErrNoResponders, nothing
// was done.
func (n *Node) request(ctx context.Context, p int, epoch uint64, kind string, data []byte) ([]byte, error) {
	subject, most, id, sent := n.callSubject(p, epoch), n.maxData(), n.newPartsID(), 0
	for ; len(data) > most; sent++ {
		m := asPart(nats.NewMsg(subject), id, sent)
		m.Data, data = data[:most], data[most:]
		if _, err := n.send(ctx, p, m); err != nil {
			return nil, err
		}
	}
	m := nats.NewMsg(subject)
	if sent > 0 {
		asPart(m, id, sent)
	}
	m.Data = data
	m.Header.Set(kindHeader, kind)
	reply, err := n.send(ctx, p, m)
	if err != nil {
		return nil, err
	}
	answer := reply.Data
	for part := 0; reply.Header.Get(moreHeader) != ""; part++ {
		m := asPart(nats.NewMsg(subject), reply.Header.Get(moreHeader), part)
		m.Header.Set(kindHeader, kindMore)
		if reply, err = n.send(ctx, p, m); err != nil {
			return nil, fmt.Errorf("cluster: partition %d: the rest of the answer: %w: %w", p, ErrUnanswered, err)
		}
		answer = append(answer, reply.Data...)
	}
	return answer, nil
}

// kindMore requests the next part of an answer.
const kindMore = "more"

// send sends one message and returns its answer.
func (n *Node) send(ctx context.Context, p int, m *nats.Msg) (*nats.Msg, error) {
	reply, err := n.o.Conn.RequestMsgWithContext(ctx, m)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("cluster: partition %d: %w: %w", p, ErrUnanswered, err)
	}
	if text := reply.Header.Get(errorHeader); text != "" {
		return nil, errors.New(text)
	}
	return reply, nil
}

// answerTime is how long the owner of a partition may take to answer a call.
const answerTime = 30 * time.Second

// answer answers one message. It runs in its own goroutine, which ends after answerTime at the latest.
func (n *Node) answer(h *holding, m *nats.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	reply := nats.NewMsg(m.Reply)
	if err := n.fill(ctx, h, m, reply); err != nil {
		reply.Data = nil
		reply.Header.Set(errorHeader, err.Error())
	}
	_ = m.RespondMsg(reply) // without an answer the caller gets ErrUnanswered
}

// fill makes the answer to a call, to a part of a call, or to a request for the next part of an answer.
func (n *Node) fill(ctx context.Context, h *holding, m, reply *nats.Msg) (err error) {
	kind, data := m.Header.Get(kindHeader), m.Data
	id, part := partOf(m)
	switch {
	case id != "" && kind == "":
		return h.calls.add(id, part, data, time.Now())
	case id != "" && kind == kindMore:
		return n.more(h, id, part, reply)
	case id != "":
		if data, err = h.calls.join(id, part, data); err != nil {
			return err
		}
	}
	if data, err = h.member.Answer(ctx, kind, data); err != nil {
		return err
	}
	most := n.maxData()
	if reply.Data = data; len(data) <= most {
		return nil
	}
	reply.Data, data = data[:most], data[most:]
	rest := n.newPartsID()
	reply.Header.Set(moreHeader, rest)
	for at := 0; len(data) > 0; at++ {
		size := min(most, len(data))
		if err := h.answers.add(rest, at, data[:size], time.Now()); err != nil {
			return err
		}
		data = data[size:]
	}
	return nil
}

// more answers with a part of an answer.
func (n *Node) more(h *holding, id string, part int, reply *nats.Msg) (err error) {
	var more bool
	if reply.Data, more, err = h.answers.get(id, part); more {
		reply.Header.Set(moreHeader, id)
	}
	return err
}
