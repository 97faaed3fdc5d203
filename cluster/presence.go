package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// tellEvery is how often a replica says that it is here, and goneAfter how long it is believed.
const (
	tellEvery = 500 * time.Millisecond
	goneAfter = 3 * time.Second
)

// word is what a replica says.
type word struct {
	Node  string                  `json:"node"`
	Owns  map[int]uint64          `json:"owns"` // epochs
	News  map[int]json.RawMessage `json:"news,omitempty"`
	Leave bool                    `json:"leave,omitempty"`
}

func (n *Node) presence() string { return n.o.Prefix + ".here" }

func (n *Node) listen() error {
	_, err := n.o.Conn.Subscribe(n.presence(), n.heard) // ends with the connection
	return err
}

// tell speaks now and then, and says goodbye.
func (n *Node) tell() {
	whole := time.Now()
	for {
		n.announce()
		if n.Unowned() == 0 {
			whole = time.Now()
		} else if time.Since(whole) > 2*n.o.PinTTL {
			n.shake()
		}
		if !n.rest(tellEvery) {
			n.say(word{Node: n.id, Leave: true})
			return
		}
	}
}

// served reports whether the stream answers by way of the server that this replica is connected to.
func (n *Node) served() bool {
	ctx, cancel := context.WithTimeout(n.ctx, 2*time.Second)
	defer cancel()
	_, err := n.stream.Info(ctx)
	return err == nil
}

// shake looks for another server where that is why nothing works, at most once in a while: one that is cut off from
// the others keeps its clients, and serves nothing that needs them.
func (n *Node) shake() {
	n.mu.Lock()
	again := time.Since(n.shaken) > n.o.PinTTL
	if again {
		n.shaken = time.Now()
	}
	n.mu.Unlock()
	if again && !n.served() {
		n.log.Warn("the NATS server does not serve: another is tried", zap.String("server", n.o.Conn.ConnectedUrlRedacted()))
		_ = n.o.Conn.ForceReconnect() // it is closed: nobody needs a server
	}
}

// announce says what this replica holds.
func (n *Node) announce() {
	n.mu.Lock()
	w := word{Node: n.id, Owns: map[int]uint64{}, News: map[int]json.RawMessage{}}
	held := make([]*holding, 0, len(n.held))
	for p, h := range n.held {
		w.Owns[p] = h.epoch
		held = append(held, h)
	}
	n.mu.Unlock()
	for _, h := range held {
		if h.member.News != nil {
			w.News[h.partition] = h.member.News()
		}
	}
	n.say(w)
	n.note(w)
}

// say tells all replicas. Who owns what matters more than the news: they are left out where both do not fit into a
// message.
func (n *Node) say(w word) {
	size := 0
	for _, news := range w.News {
		size += len(news)
	}
	if size > n.most()/2 {
		w.News = nil
	}
	if data, err := json.Marshal(w); err == nil {
		_ = n.o.Conn.Publish(n.presence(), data) // it is said again soon
	}
}

func (n *Node) heard(m *nats.Msg) {
	var w word
	if json.Unmarshal(m.Data, &w) == nil && w.Node != n.id {
		n.note(w)
	}
}

// note takes in what a replica says.
func (n *Node) note(w word) {
	n.mu.Lock()
	defer n.mu.Unlock()
	now := time.Now()
	if w.Node != n.id {
		if n.here[w.Node] = now; w.Leave {
			delete(n.here, w.Node)
		}
	}
	for id, seen := range n.here {
		if now.Sub(seen) > goneAfter {
			delete(n.here, id)
		}
	}
	changed := false
	for p, o := range n.owners {
		if _, still := w.Owns[p]; o.node == w.Node && !still {
			delete(n.owners, p)
			changed = true
		}
	}
	for p, epoch := range w.Owns {
		if o := n.owners[p]; epoch >= o.epoch {
			changed = changed || o.node != w.Node || o.epoch != epoch
			n.owners[p] = owner{node: w.Node, epoch: epoch, seen: now, news: w.News[p]}
		}
	}
	if changed {
		close(n.change)
		n.change = make(chan struct{})
	}
}

// News is what the owner of each partition told last; nil where there is none.
func (n *Node) News() [][]byte {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([][]byte, n.o.Partitions)
	for p, o := range n.owners {
		if p < len(all) && time.Since(o.seen) < goneAfter {
			all[p] = o.news
		}
	}
	return all
}

// Stats is what a replica knows of the others.
type Stats struct {
	Owned    int // by this replica
	Unowned  int // by nobody that is heard of
	Replicas int // that are heard of, this one included
	Taken    uint64
}

// Stats returns the figures of the moment.
func (n *Node) Stats() Stats {
	unowned := n.Unowned()
	n.mu.Lock()
	defer n.mu.Unlock()
	return Stats{Owned: len(n.held), Unowned: unowned, Replicas: len(n.here) + 1, Taken: n.taken}
}

// Unowned is how many partitions have no owner that is heard of.
func (n *Node) Unowned() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	missing := n.o.Partitions
	for _, o := range n.owners {
		if time.Since(o.seen) < goneAfter {
			missing--
		}
	}
	return missing
}
