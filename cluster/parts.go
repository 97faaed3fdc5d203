package cluster

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Servers reject messages larger than their max_payload, 1 MiB by default. A larger call or answer is sent in parts, each of
// which is a message with its own answer; the last part of a call is the call. The memory for parts is limited, and parts of
// calls that do not continue are dropped after partsLife.
const (
	callHeader = "Reporterd-Call" // identifies the call, or answer, that a part belongs to
	partHeader = "Reporterd-Part" // index of the part, from 0
	moreHeader = "Reporterd-More" // in an answer: the id to fetch its further parts by

	// partHead is reserved in each message for its subject and headers.
	partHead = 4 << 10

	maxPartBytes = 128 << 20 // most bytes of all waiting parts
	partsLife    = time.Minute
)

// errParts says that parts are missing: the partition has just moved, or there were too many parts.
var errParts = errors.New("cluster: a part of the message is missing: nothing was done")

// parts contains the parts of incomplete calls, or of answers that are being fetched.
type parts struct {
	mu    sync.Mutex // guards the fields below
	bytes int
	lists map[string]*partList
}

// partList contains the parts of one call or answer, in order.
type partList struct {
	begun time.Time
	parts [][]byte
}

// add adds a part. The parts of a call have to arrive in order, from index 0 on.
func (p *parts) add(id string, n int, data []byte, now time.Time) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	for other, b := range p.lists {
		if now.Sub(b.begun) > partsLife {
			p.dropLocked(other)
		}
	}
	b := p.lists[id]
	if b == nil {
		b = &partList{begun: now}
	}
	if n != len(b.parts) {
		return errParts
	}
	if p.bytes+len(data) > maxPartBytes {
		p.dropLocked(id)
		return fmt.Errorf("cluster: parts of large messages exceed %d bytes: nothing was done", maxPartBytes)
	}
	if p.lists == nil {
		p.lists = make(map[string]*partList)
	}
	b.parts = append(b.parts, data)
	p.lists[id], p.bytes = b, p.bytes+len(data)
	return nil
}

// dropLocked removes a call or answer.
func (p *parts) dropLocked(id string) {
	if b := p.lists[id]; b != nil {
		for _, part := range b.parts {
			p.bytes -= len(part)
		}
		delete(p.lists, id)
	}
}

// join removes and returns all parts of a call; last is the nth.
func (p *parts) join(id string, n int, last []byte) (whole []byte, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.dropLocked(id)
	b := p.lists[id]
	if b == nil || n != len(b.parts) {
		return nil, errParts
	}
	for _, part := range append(b.parts, last) {
		whole = append(whole, part...)
	}
	return whole, nil
}

// get returns a part, and whether there are more. After the last one it removes them.
func (p *parts) get(id string, n int) (part []byte, more bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.lists[id]
	if b == nil || n < 0 || n >= len(b.parts) {
		return nil, false, errParts
	}
	if part, more = b.parts[n], n+1 < len(b.parts); !more {
		p.dropLocked(id)
	}
	return part, more, nil
}

// newPartsID returns a new id for a call or answer in parts, unique among replicas.
func (n *Node) newPartsID() string { return n.id + "-" + strconv.FormatUint(n.partsSent.Add(1), 36) }

// maxData returns how many bytes of data fit into a message.
func (n *Node) maxData() int {
	return max(int(n.o.Conn.MaxPayload())-partHead, partHead)
}

// asPart makes a message a part of a call or answer.
func asPart(m *nats.Msg, id string, n int) *nats.Msg {
	m.Header.Set(callHeader, id)
	m.Header.Set(partHeader, strconv.Itoa(n))
	return m
}

// partOf returns what asPart wrote; an empty id: the message is complete.
func partOf(m *nats.Msg) (id string, n int) {
	n, err := strconv.Atoi(m.Header.Get(partHeader))
	if err != nil {
		n = -1
	}
	return m.Header.Get(callHeader), n
}
