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
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
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
	MaxBytes   int64         // of the stream; 0: no limit
	PinTTL     time.Duration // how long a partition stays with an owner that does not confirm
	Log        *zap.Logger   // nil: none

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

	mu      sync.Mutex // guards the fields below
	here    map[string]time.Time
	owners  map[int]owner    // by the latest message
	held    map[int]*holding // by this replica
	change  chan struct{}    // closed and replaced when owners change
	checked time.Time        // when the connection was checked last
	taken   uint64           // partitions taken over
}

// owner is the owner of a partition, by its latest message.
type owner struct {
	node  string
	epoch uint64 // of the disk: the greater one is valid
	seen  time.Time
	news  []byte
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
		o: o, id: hex.EncodeToString(id[:]), log: o.Log, here: map[string]time.Time{}, owners: map[int]owner{},
		held: map[int]*holding{}, change: make(chan struct{}),
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
	for p := range o.Partitions {
		n.work.Go(func() { n.acquire(p) })
	}
	return n, nil
}

// Stop releases every partition, so that other replicas take over at once. It returns when that is done, or ctx ends.
func (n *Node) Stop(ctx context.Context) {
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

// ErrUnfit is wrapped by the error of Start when the existing stream has the wrong configuration. A retry does not help.
var ErrUnfit = errors.New("has a configuration that cannot hold a spool")

// partitionsKey is the stream's metadata key for the number of partitions.
const partitionsKey = "reporterd_partitions"

// prepare finds or creates the stream, its partitions and their consumers. It never changes existing ones.
func (n *Node) prepare(ctx context.Context) (err error) {
	if n.js, err = jetstream.New(n.o.Conn); err != nil {
		return err
	}
	want := jetstream.StreamConfig{
		Name: n.o.Prefix, Description: "The spool of reporterd's replicas", Subjects: []string{n.o.Prefix + ".disk.>", n.o.Prefix + ".work.*"},
		Discard: jetstream.DiscardNew, MaxBytes: n.o.MaxBytes, Storage: jetstream.FileStorage, Replicas: n.o.Replicas,
		Duplicates: 2 * time.Minute, Metadata: map[string]string{partitionsKey: strconv.Itoa(n.o.Partitions)},
	}
	if want.MaxBytes == 0 {
		want.MaxBytes = -1
	}
	n.stream, err = n.js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		n.stream, err = n.js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another replica created it
			n.stream, err = n.js.Stream(ctx, want.Name)
		}
	}
	if err == nil {
		err = differs(n.stream.CachedInfo().Config, want)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", want.Name, err)
	}
	for p := range n.o.Partitions {
		if err := n.seed(ctx, p); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// differs returns how the configuration of the existing stream differs from the one needed.
func differs(have, want jetstream.StreamConfig) error {
	var wrong []error
	is := func(bad bool, what string, have, want any) {
		if bad {
			wrong = append(wrong, fmt.Errorf("%s is %v: expected %v", what, have, want))
		}
	}
	is(have.Metadata[partitionsKey] != want.Metadata[partitionsKey], "cluster.partitions of the stream", have.Metadata[partitionsKey], want.Metadata[partitionsKey])
	is(!slices.Equal(have.Subjects, want.Subjects), "subjects", strings.Join(have.Subjects, ", "), strings.Join(want.Subjects, ", "))
	is(have.Discard != jetstream.DiscardNew, "discard", have.Discard, jetstream.DiscardNew)
	is(have.Retention != jetstream.LimitsPolicy, "retention", have.Retention, jetstream.LimitsPolicy)
	is(have.MaxAge != 0, "max_age", have.MaxAge, "none")
	is(have.MaxMsgs > 0 || have.MaxMsgsPerSubject > 0, "max_msgs", have.MaxMsgs, "none")
	is(have.Storage != jetstream.FileStorage, "storage", have.Storage, jetstream.FileStorage)
	is(have.Replicas < want.Replicas, "replicas", have.Replicas, want.Replicas)
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnfit, errors.Join(wrong...))
}

func (n *Node) token(partition int) string { return n.o.Prefix + ".work." + strconv.Itoa(partition) }

// seed puts the message of a partition into the queue, and creates the consumer that delivers it.
func (n *Node) seed(ctx context.Context, p int) error {
	_, err := n.js.Publish(ctx, n.token(p), nil, jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithMsgID("work-"+strconv.Itoa(p)))
	var api *jetstream.APIError
	if err != nil && !(errors.As(err, &api) && (api.ErrorCode == 10071 || api.ErrorCode == 10164)) {
		return err
	}
	name := "owner-" + strconv.Itoa(p)
	_, err = n.stream.Consumer(ctx, name)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		_, err = n.stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
			Durable: name, AckPolicy: jetstream.AckExplicitPolicy, AckWait: n.o.PinTTL, MaxDeliver: -1, MaxAckPending: 1,
			FilterSubject: n.token(p),
		})
		if errors.Is(err, jetstream.ErrConsumerExists) {
			err = nil // another replica created it
		}
	}
	return err
}
