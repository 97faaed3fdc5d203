package cluster

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Servers let no message through that is larger than their max_payload, 1 MiB as they come. A call or an answer
// that is larger goes in parts, each of which is a message with an answer of its own; the last part of a call is
// the call. Who has the parts has a bound for all of them together, and forgets those of which nothing more comes.
const (
	callHeader = "Reporterd-Call" // what the parts of a call, or of an answer, have in common
	partHeader = "Reporterd-Part" // which one it is, from 0
	moreHeader = "Reporterd-More" // in an answer: that there are more parts of it, to be fetched

	// partHead is kept free in each message for its subject and headers.
	partHead = 4 << 10

	mostParts = 128 << 20 // bytes of all parts that are waited with
	partsLife = time.Minute
)

// errParts is about parts that are not there any more: the partition has just moved, or too many were waited with.
var errParts = errors.New("cluster: a part of the message is missing: nothing was done")

// parts are those of messages that are not whole yet, or not fetched.
type parts struct {
	mu    sync.Mutex // guards what follows
	bytes int
	bags  map[string]*bag
}

// bag holds the parts of one message, in their order.
type bag struct {
	begun time.Time
	parts [][]byte
}

// add keeps a part. The first of a message comes first, and each of the others behind the one before.
func (p *parts) add(id string, n int, data []byte, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, b := range p.bags {
		if now.Sub(b.begun) > partsLife {
			p.drop(other)
		}
	}
	b := p.bags[id]
	if b == nil {
		b = &bag{begun: now}
	}
	if n != len(b.parts) {
		return errParts
	}
	if p.bytes+len(data) > mostParts {
		p.drop(id)
		return fmt.Errorf("cluster: more than %d bytes in parts of large messages: nothing was done", mostParts)
	}
	if p.bags == nil {
		p.bags = make(map[string]*bag)
	}
	b.parts = append(b.parts, data)
	p.bags[id], p.bytes = b, p.bytes+len(data)
	return nil
}

// drop forgets a message. mu is held.
func (p *parts) drop(id string) {
	if b := p.bags[id]; b != nil {
		for _, part := range b.parts {
			p.bytes -= len(part)
		}
		delete(p.bags, id)
	}
}

// join takes out all parts of a message, of which last is the nth.
func (p *parts) join(id string, n int, last []byte) (whole []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.drop(id)
	b := p.bags[id]
	if b == nil || n != len(b.parts) {
		return nil, errParts
	}
	for _, part := range append(b.parts, last) {
		whole = append(whole, part...)
	}
	return whole, nil
}

// get returns a part, and whether there are more; after the last one they are forgotten.
func (p *parts) get(id string, n int) (part []byte, more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.bags[id]
	if b == nil || n < 0 || n >= len(b.parts) {
		return nil, false, errParts
	}
	if part, more = b.parts[n], n+1 < len(b.parts); !more {
		p.drop(id)
	}
	return part, more, nil
}

// name names what goes in parts, as nobody else's.
func (n *Node) name() string { return n.id + "-" + strconv.FormatUint(n.named.Add(1), 36) }

// most is how much data a message may have.
func (n *Node) most() int {
	return max(int(n.o.Conn.MaxPayload())-partHead, partHead)
}

// marked makes a message a part of one.
func marked(m *nats.Msg, id string, n int) *nats.Msg {
	m.Header.Set(callHeader, id)
	m.Header.Set(partHeader, strconv.Itoa(n))
	return m
}

// markOf returns what marked wrote; empty: the message is whole.
func markOf(m *nats.Msg) (id string, n int) {
	n, err := strconv.Atoi(m.Header.Get(partHeader))
	if err != nil {
		n = -1
	}
	return m.Header.Get(callHeader), n
}
