// Package cluster shares the work of replicas: a number of partitions, each owned by one replica at a time, with
// a disk in JetStream (package jetdisk) that the next owner takes over.
//
// Nothing is elected here. Each partition is one message in a queue of the stream: whoever it is delivered to
// owns the partition for as long as he says that he is working on it (AckWait); when he dies, the servers
// deliver it to another. That decides who should own a partition, not who may write to it: the disk does, which
// knows its last owner. What replicas tell each other beside it (who is here, who owns what) is a hint.
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

// Options are what a Node is made of.
type Options struct {
	Conn       *nats.Conn
	Prefix     string        // of all subjects, and the stream's name
	Partitions int           // the same for all replicas, for ever
	Replicas   int           // copies that the servers keep
	MaxBytes   int64         // of the stream; 0: no limit
	PinTTL     time.Duration // how long a partition waits for an owner who does not answer
	Log        *zap.Logger   // nil: none

	// Open begins to work on a partition whose disk was taken over. The Member it returns is this replica's
	// until its Stop has returned.
	Open func(ctx context.Context, partition int, d *jetdisk.Disk) (Member, error)
}

// Member is a partition that is worked on.
type Member struct {
	// Answer answers a call for the partition, from any replica.
	Answer func(ctx context.Context, kind string, data []byte) ([]byte, error)
	// Stop ends the work. clean: the disk can still be written to.
	Stop func(ctx context.Context, clean bool)
	// News is told to all replicas, twice a second, as long as it fits into half a message; nil: nothing.
	News func() []byte
}

// Node is this replica. Start makes one, Stop ends it.
type Node struct {
	o      Options
	id     string
	js     jetstream.JetStream
	stream jetstream.Stream
	log    *zap.Logger
	ctx    context.Context    // ends when Stop begins
	end    context.CancelFunc // ends ctx
	work   sync.WaitGroup     // the goroutines, which end with ctx
	named  atomic.Uint64

	mu     sync.Mutex // guards what follows
	here   map[string]time.Time
	owners map[int]owner    // as told
	held   map[int]*holding // by this replica
	change chan struct{}    // closed and made anew when owners change
	shaken time.Time        // when another server was looked for last
	taken  uint64           // partitions taken over
}

// owner is who owns a partition, as told last.
type owner struct {
	node  string
	epoch uint64 // of the disk: the greater one is right
	seen  time.Time
	news  []byte
}

// Start joins: it makes the stream if there is none, begins to take partitions and returns. The error says what
// is wrong with the servers or the stream.
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
	n.work.Go(n.tell)
	for p := range o.Partitions {
		n.work.Go(func() { n.seek(p) })
	}
	return n, nil
}

// Stop gives every partition back, so that others go on at once, and returns when that is done, or ctx ends.
func (n *Node) Stop(ctx context.Context) {
	n.end()
	done := make(chan struct{})
	go func() { // ends with the goroutines, each of which a timeout ends
		n.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

// Partition is where a service belongs.
func (n *Node) Partition(serviceID string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(serviceID)) // never fails
	return int(h.Sum32() % uint32(n.o.Partitions))
}

// ErrUnfit is wrapped by the error of Start when the stream that is there is not fit, which time does not change.
var ErrUnfit = errors.New("is not fit for a spool")

// partitionsKey is where the stream remembers how many partitions there are.
const partitionsKey = "reporterd_partitions"

// prepare finds or makes the stream, its partitions and their consumers. What is there is never changed.
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
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another replica was faster
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

// differs says how a stream that is there differs from one that keeps what it acknowledges.
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

// seed puts the one message of a partition into the queue, and makes the consumer that hands it out.
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
			err = nil // another replica was faster
		}
	}
	return err
}
