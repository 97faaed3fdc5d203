// Package cluster distributes partitions among replicas. Each partition is owned by one replica at a time, with a disk in
// JetStream (package jetdisk) that the next owner takes over.
//
// There is no election. Each partition is one message in a queue of the stream: the replica that receives the message owns the
// partition as long as it confirms that it is working on it (AckWait); when the replica dies, the servers deliver the message to
// another one. That determines which replica should own a partition, not which one may write to it: the disk does, by its last
// owner. The messages between replicas about presence and ownership are hints.
package cluster

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/cluster/jetdisk"
	"go.uber.org/zap"
)

// Options of Start.
type Options struct {
	Conn       *nats.Conn
	Prefix     string        // of all subjects, and the stream's name
	Partitions int           // the same for all replicas, permanently
	Replicas   int           // copies that the servers keep
	MaxBytes   int64         // of the stream, at least; 0: no limit
	PinTTL     time.Duration // how long a partition stays with an owner that does not confirm, at least
	Log        *zap.Logger   // nil: none

	// StopTime limits Member.Stop; 0: 20 s.
	StopTime time.Duration

	// Check opens a partition on an empty disk and closes it again. It returns why this replica cannot open partitions; nil: it can.
	// May be nil.
	Check func(ctx context.Context, d *jetdisk.Disk) error

	// Open begins to work on a partition whose disk was taken over. The Member belongs to this replica until its Stop has
	// returned.
	Open func(ctx context.Context, partition int, d *jetdisk.Disk) (Member, error)
}

// Member is a partition that this replica works on.
type Member struct {
	// Answer answers a call for the partition, from any replica.
	Answer func(ctx context.Context, kind string, data []byte) ([]byte, error)
	// Stop ends the work. clean says that the disk can still be written to.
	Stop func(ctx context.Context, clean bool)
	// News is sent to all replicas, twice a second, if it fits into half a message; may be nil.
	News func() []byte
}

// Node is this replica. Start creates one, Stop ends it.
type Node struct {
	o         Options
	id        string
	js        jetstream.JetStream
	stream    jetstream.Stream
	log       *zap.Logger
	ctx       context.Context    // cancelled by Stop
	end       context.CancelFunc // ends ctx
	work      sync.WaitGroup     // the goroutines, which end with ctx
	partsSent atomic.Uint64
	failed    chan error // the last error of Options.Open while no partition was owned, for qualify

	mu       sync.Mutex // guards the fields below
	here     map[string]time.Time
	owners   map[int]owner // by the latest message
	news     map[int]latestNews
	failing  map[int]string   // why this replica cannot open partitions
	unopened map[int]unopened // why a replica cannot
	held     map[int]*holding // by this replica
	change   chan struct{}    // closed and replaced when owners change
	checked  time.Time        // when the connection was checked last
	taken    uint64           // partitions taken over
	unfit    error            // why this replica cannot open partitions; nil: it can
	stopBy   context.Context  // of Stop; nil: it was not called
}

// owner is the owner of a partition, by its latest message.
type owner struct {
	node  string
	epoch uint64 // of the disk: the greater one is valid
	seen  time.Time
}

// Start joins the cluster: it creates the stream if necessary, begins to take partitions, and returns. The error says what is
// wrong with the servers or the stream.
func Start(ctx context.Context, o Options) (*Node, error) {
	var id [6]byte
	_, _ = rand.Read(id[:]) // never fails
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	n := &Node{
		o: o, id: hex.EncodeToString(id[:]), log: o.Log, here: map[string]time.Time{}, owners: map[int]owner{}, news: map[int]latestNews{}, failing: map[int]string{}, unopened: map[int]unopened{},
		held: map[int]*holding{}, change: make(chan struct{}), failed: make(chan error, 1),
	}
	if o.Check != nil {
		n.unfit = errUnchecked
	}
	if o.StopTime == 0 {
		n.o.StopTime = stopTime
	}
	n.ctx, n.end = context.WithCancel(context.Background())
	err := n.prepare(ctx)
	if err == nil {
		err = n.listen()
	}
	if err != nil {
		n.end()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	n.work.Go(n.announceAll)
	n.work.Go(n.qualify)
	for p := range o.Partitions {
		n.work.Go(func() { n.acquire(p) })
	}
	return n, nil
}

// ID identifies this replica among those that run now: 12 hexadecimal digits, other ones after a restart.
func (n *Node) ID() string { return n.id }

// Stop releases every partition, so that other replicas take over at once. Until a Member has stopped, its partition stays with this
// replica. Stop returns when that is done, or ctx ends.
func (n *Node) Stop(ctx context.Context) {
	n.mu.Lock()
	n.stopBy = ctx
	n.mu.Unlock()
	n.end()
	done := make(chan struct{})
	go func() { // ends with the goroutines, which end by timeouts
		n.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Partition returns the partition of a service.
func (n *Node) Partition(serviceID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(serviceID)) // never fails
	return int(h.Sum32() % uint32(n.o.Partitions))
}
