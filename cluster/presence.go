package cluster

import (
	"context"
	"encoding/json"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"
)

// announceEvery is the interval of a replica's announcements, and goneAfter how long one is valid.
const (
	announceEvery = 500 * time.Millisecond
	goneAfter     = 3 * time.Second
)

// announcement is the message by which a replica announces itself.
type announcement struct {
	Node     string                  `json:"node"`
	Owns     map[int]uint64          `json:"owns"` // epochs
	News     map[int]json.RawMessage `json:"news,omitempty"`
	Unopened map[int]string          `json:"unopened,omitempty"` // why it cannot open partitions that have no owner
	Leave    bool                    `json:"leave,omitempty"`    // it takes no partitions: it is stopping, or cannot open any
}

func (n *Node) presence() string { return n.o.Prefix + ".here" }

func (n *Node) listen() error {
	_, err := n.o.Conn.Subscribe(n.presence(), n.receive) // ends with the connection
	return err
}

// announceAll sends announcements at intervals until the replica stops. Later ones, when partitions are released, say that it stops.
func (n *Node) announceAll() {
	whole := time.Now()
	for {
		n.announce()
		if n.Unowned() == 0 {
			whole = time.Now()
		} else if time.Since(whole) > 2*n.o.PinTTL {
			n.reconnect()
		}
		if !n.wait(announceEvery) {
			n.announce()
			return
		}
	}
}

// streamReachable reports whether the stream can be reached through the server that this replica is connected to.
func (n *Node) streamReachable() bool {
	ctx, cancel := context.WithTimeout(n.ctx, 2*time.Second)
	defer cancel()
	_, err := n.stream.Info(ctx)
	return err == nil
}

// reconnect connects to another server if the present one cannot reach the stream, at most once in PinTTL: a server that is cut off
// from the cluster keeps its clients, but cannot serve the stream.
func (n *Node) reconnect() {
	n.mu.Lock()
	again := time.Since(n.checked) > n.o.PinTTL
	if again {
		n.checked = time.Now()
	}
	n.mu.Unlock()
	if again && !n.streamReachable() {
		n.log.Warn("the NATS server cannot reach the stream, connecting to another", zap.String("server", n.o.Conn.ConnectedUrlRedacted()))
		_ = n.o.Conn.ForceReconnect() // an error means that the connection is closed
	}
}

// announce announces the partitions that this replica owns.
func (n *Node) announce() {
	n.mu.Lock()
	w := announcement{Node: n.id, Owns: map[int]uint64{}, News: map[int]json.RawMessage{}}
	w.Unopened = n.failingLocked()
	w.Leave = n.ctx.Err() != nil || n.unfit != nil && len(n.held) == 0
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
	n.publish(w)
	n.apply(w)
}

// publish sends an announcement to all replicas. The news are left out if they take more than half a message: ownership is more
// important.
func (n *Node) publish(w announcement) {
	size := 0
	for _, news := range w.News {
		size += len(news)
	}
	if size > n.maxData()/2 {
		w.News = nil
	}
	if data, err := json.Marshal(w); err == nil {
		_ = n.o.Conn.Publish(n.presence(), data) // the next announcement follows soon
	}
}

func (n *Node) receive(m *nats.Msg) {
	var w announcement
	if json.Unmarshal(m.Data, &w) == nil && w.Node != n.id {
		n.apply(w)
	}
}

// apply applies an announcement.
func (n *Node) apply(w announcement) {
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
			n.owners[p] = owner{node: w.Node, epoch: epoch, seen: now}
		}
	}
	n.keepNewsLocked(&w, now)
	n.keepUnopenedLocked(&w, now)
	if changed {
		close(n.change)
		n.change = make(chan struct{})
	}
}

// News is what an owner of a partition said of it last.
type News struct {
	Data  []byte    // nil: there was none since this replica joined
	At    time.Time // when it came
	Valid bool      // its sender is the owner, as far as this replica knows
}

// News returns the latest news of each partition, also of an owner that is gone.
func (n *Node) News() []News {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]News, n.o.Partitions)
	for p, latest := range n.news {
		if p >= 0 && p < len(all) {
			o := n.owners[p]
			all[p] = News{Data: latest.data, At: latest.at, Valid: o.epoch == latest.epoch && time.Since(o.seen) < goneAfter}
		}
	}
	return all
}

// latestNews is the latest news of a partition.
type latestNews struct {
	data  []byte
	at    time.Time
	epoch uint64 // of the owner that sent it
}

// keepNewsLocked keeps the news in an announcement, unless a later owner's are known.
func (n *Node) keepNewsLocked(w *announcement, now time.Time) {
	for p, data := range w.News {
		if epoch := w.Owns[p]; epoch > 0 && epoch >= n.news[p].epoch {
			n.news[p] = latestNews{data, now, epoch}
		}
	}
}

// Stats is the state of the cluster as this replica knows it.
type Stats struct {
	Owned    int // by this replica
	Unowned  int // without a known owner
	Replicas int // known replicas, including this one
	Taken    uint64
}

// Stats returns the current figures.
func (n *Node) Stats() Stats {
	unowned := n.Unowned()
	n.mu.Lock()
	defer n.mu.Unlock()
	return Stats{Owned: len(n.held), Unowned: unowned, Replicas: len(n.here) + 1, Taken: n.taken}
}

// Unowned returns how many partitions have no known owner.
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
