package cluster

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// ErrNoOwner is wrapped by the error of a Call that reached nobody: nothing was done.
var ErrNoOwner = errors.New("the partition has no owner at the moment")

// ErrUnanswered is wrapped by the error of a Call whose answer did not come: nobody knows what was done.
var ErrUnanswered = errors.New("the owner of the partition did not answer")

const (
	kindHeader  = "Reporterd-Kind"
	errorHeader = "Reporterd-Error"
)

// callSubject is where the owner of a partition is called. An owner of before is not there any more.
func (n *Node) callSubject(p int, epoch uint64) string {
	return n.o.Prefix + ".call." + strconv.Itoa(p) + "." + strconv.FormatUint(epoch, 10)
}

// Call asks the owner of a partition, who may be this replica. It waits for one until patience is over, and for
// the answer until ctx ends. Errors of the owner's are plain.
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

// Local returns the member of a partition of this replica.
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

// forget forgets an owner who is not there.
func (n *Node) forget(p int, epoch uint64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.owners[p].epoch == epoch {
		delete(n.owners, p)
	}
}

func (n *Node) request(ctx context.Context, p int, epoch uint64, kind string, data []byte) ([]byte, error) {
	m := nats.NewMsg(n.callSubject(p, epoch))
	m.Data = data
	m.Header.Set(kindHeader, kind)
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
	return reply.Data, nil
}

// answerTime bounds how long the owner of a partition may take to answer a call.
const answerTime = 30 * time.Second

// answer answers one call, in a goroutine of its own.
func (n *Node) answer(h *holding, m *nats.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), answerTime)
	defer cancel()
	data, err := h.member.Answer(ctx, m.Header.Get(kindHeader), m.Data)
	reply := nats.NewMsg(m.Reply)
	reply.Data = data
	if err != nil {
		reply.Header.Set(errorHeader, err.Error())
	}
	_ = m.RespondMsg(reply) // without an answer the caller knows that he does not know
}
