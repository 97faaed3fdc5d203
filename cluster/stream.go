package cluster

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

// ErrUnfit is wrapped by the error of Start when the servers or the existing stream have a configuration that cannot hold a spool. A
// retry does not help.
var ErrUnfit = errors.New("has a configuration that cannot hold a spool")

// partitionsKey is the stream's metadata key for the number of partitions.
const partitionsKey = "reporterd_partitions"

const (
	// leastMessage is the smallest limit of a message with which a spool works well, in bytes.
	leastMessage = 64 << 10

	// dedupeWindow is for how long the stream recognizes a message that is published again, and leastWindow is enough for that.
	dedupeWindow = 2 * time.Minute
	leastWindow  = 30 * time.Second
)

// prepare finds or creates the stream, its partitions and their consumers. Of existing ones it compares every setting: it raises the
// stream's limit and the consumers' AckWait, and returns an error that wraps ErrUnfit for everything else that does not fit.
func (n *Node) prepare(ctx context.Context) (err error) {
	if n.js, err = jetstream.New(n.o.Conn); err != nil {
		return err
	}
	if most := n.o.Conn.MaxPayload(); most < leastMessage {
		return fmt.Errorf("max_payload of the NATS servers is %d: %w: set at least %d in their configuration", most, ErrUnfit, leastMessage)
	}
	want := n.wanted()
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
	n.raiseLimit(ctx, want.MaxBytes)
	for p := range n.o.Partitions {
		if err := n.seed(ctx, p); err != nil {
			return fmt.Errorf("partition %d: %w", p, err)
		}
	}
	return nil
}

// wanted returns the configuration of a new stream.
func (n *Node) wanted() jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name: n.o.Prefix, Description: "The spool of reporterd's replicas", Subjects: []string{n.o.Prefix + ".disk.>", n.o.Prefix + ".work.*"},
		Discard: jetstream.DiscardNew, MaxBytes: n.o.MaxBytes, Storage: jetstream.FileStorage, Replicas: n.o.Replicas,
		Duplicates: dedupeWindow, Metadata: map[string]string{partitionsKey: strconv.Itoa(n.o.Partitions)},
	}
	if c.MaxBytes == 0 {
		c.MaxBytes = unlimited
	}
	return c
}

// unlimited is the max_bytes of a stream without a limit.
const unlimited = -1

// differs returns how the configuration of the existing stream differs from the one needed, and what to do about it.
func differs(have, want jetstream.StreamConfig) error {
	var wrong []error
	is := func(bad bool, what string, have, want any, remedy string) {
		if bad {
			wrong = append(wrong, fmt.Errorf("%s is %v: expected %v: %s", what, have, want, remedy))
		}
	}
	edit := func(flags string) string { return "run: nats stream edit " + want.Name + " " + flags }
	const permanent = "it cannot be changed: name another cluster.prefix, and let the old replicas deliver what is in this stream"
	count := have.Metadata[partitionsKey]
	is(count != want.Metadata[partitionsKey], "cluster.partitions of the stream", count, want.Metadata[partitionsKey],
		"the number is fixed once the stream is made: set cluster.partitions to "+count)
	is(!slices.Equal(have.Subjects, want.Subjects), "subjects", strings.Join(have.Subjects, ", "), strings.Join(want.Subjects, ", "),
		edit("--subjects="+strings.Join(want.Subjects, ",")))
	is(have.Discard != jetstream.DiscardNew, "discard", have.Discard, jetstream.DiscardNew, edit("--discard=new"))
	is(have.Retention != jetstream.LimitsPolicy, "retention", have.Retention, jetstream.LimitsPolicy, permanent)
	is(have.Storage != jetstream.FileStorage, "storage", have.Storage, jetstream.FileStorage, permanent)
	is(have.MaxAge != 0, "max_age", have.MaxAge, "none", edit("--max-age=0s"))
	is(have.MaxMsgs > 0, "max_msgs", have.MaxMsgs, "none", edit("--max-msgs=-1"))
	is(have.MaxMsgsPerSubject > 0, "max_msgs_per_subject", have.MaxMsgsPerSubject, "none", edit("--max-msgs-per-subject=-1"))
	is(have.MaxMsgSize > 0 && have.MaxMsgSize < leastMessage, "max_msg_size", have.MaxMsgSize, fmt.Sprintf("at least %d", leastMessage),
		edit("--max-msg-size=-1"))
	is(have.Duplicates < leastWindow, "duplicate_window", have.Duplicates, fmt.Sprintf("at least %v", leastWindow), edit("--dupe-window=2m"))
	is(have.Replicas < want.Replicas, "replicas", have.Replicas, want.Replicas, edit("--replicas="+strconv.Itoa(want.Replicas)))
	is(have.NoAck, "no_ack", true, false, permanent)
	is(have.DenyPurge, "deny_purge", true, false, permanent)
	is(have.Sealed, "sealed", true, false, permanent)
	is(have.Mirror != nil, "mirror", "another stream", "none", permanent)
	is(have.SubjectTransform != nil, "subject_transform", "set", "none", permanent)
	if len(wrong) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %w", ErrUnfit, errors.Join(wrong...))
}

// raiseLimit makes the stream's limit at least most bytes. A larger limit stays: a replica with older settings must not lower what
// another one has raised. A failure does not prevent joining: with the present limit replicas work as before.
func (n *Node) raiseLimit(ctx context.Context, most int64) {
	have := n.stream.CachedInfo().Config
	command := "nats stream edit " + have.Name + " --max-bytes=" + strconv.FormatInt(most, 10)
	switch {
	case have.MaxBytes == most:
	case have.MaxBytes <= 0, most > 0 && most < have.MaxBytes:
		n.log.Info("the stream's limit is larger than spool.max_bytes, and stays: to lower it, run the command",
			zap.Int64("max_bytes", have.MaxBytes), zap.Int64("spool.max_bytes", most), zap.String("command", command))
	default:
		was := have.MaxBytes
		have.MaxBytes = most
		s, err := n.js.UpdateStream(ctx, have)
		if err != nil {
			n.log.Error("cannot raise the stream's limit to spool.max_bytes: run the command once the servers allow it",
				zap.Int64("max_bytes", was), zap.Int64("spool.max_bytes", most), zap.String("command", command), zap.Error(err))
			return
		}
		n.stream = s
		n.log.Info("raised the stream's limit", zap.Int64("from", was), zap.Int64("to", most))
	}
}

func (n *Node) token(partition int) string { return n.o.Prefix + ".work." + strconv.Itoa(partition) }

func consumerOf(partition int) string { return "owner-" + strconv.Itoa(partition) }

// seed puts the message of a partition into the queue, and creates or adapts the consumer that delivers it.
func (n *Node) seed(ctx context.Context, p int) error {
	_, err := n.js.Publish(ctx, n.token(p), nil, jetstream.WithExpectLastSequencePerSubject(0), jetstream.WithMsgID("work-"+strconv.Itoa(p)))
	var api *jetstream.APIError
	if err != nil && !(errors.As(err, &api) && (api.ErrorCode == 10071 || api.ErrorCode == 10164)) {
		return err
	}
	want := jetstream.ConsumerConfig{
		Durable: consumerOf(p), AckPolicy: jetstream.AckExplicitPolicy, AckWait: n.o.PinTTL, MaxDeliver: -1, MaxAckPending: 1,
		FilterSubject: n.token(p),
	}
	consumer, err := n.stream.Consumer(ctx, want.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		consumer, err = n.stream.CreateConsumer(ctx, want)
		if errors.Is(err, jetstream.ErrConsumerExists) { // another replica created it
			consumer, err = n.stream.Consumer(ctx, want.Durable)
		}
	}
	if err != nil {
		return err
	}
	return n.adapt(ctx, consumer.CachedInfo().Config, want)
}

// adapt makes the AckWait of a partition's consumer at least PinTTL. A longer one stays, since the owner of the partition may rely on it;
// an owner confirms often enough for the shorter of the two.
func (n *Node) adapt(ctx context.Context, have, want jetstream.ConsumerConfig) error {
	if have.AckPolicy != want.AckPolicy || have.MaxDeliver > 0 || have.MaxAckPending != want.MaxAckPending || have.FilterSubject != want.FilterSubject ||
		len(have.FilterSubjects) > 0 || len(have.BackOff) > 0 || have.PauseUntil != nil && have.PauseUntil.After(time.Now()) {
		return fmt.Errorf("consumer %s %w: run: nats consumer rm %s %s: a replica makes it again", want.Durable, ErrUnfit, n.o.Prefix, want.Durable)
	}
	switch {
	case have.AckWait > want.AckWait:
		n.log.Info("a partition waits longer for its owner than cluster.pin_ttl: once all replicas have the shorter cluster.pin_ttl, run the command",
			zap.String("consumer", want.Durable), zap.Duration("ack_wait", have.AckWait), zap.Duration("cluster.pin_ttl", want.AckWait),
			zap.String("command", fmt.Sprintf("nats consumer edit %s %s --wait=%v", n.o.Prefix, want.Durable, want.AckWait)))
	case have.AckWait < want.AckWait:
		have.AckWait = want.AckWait
		_, err := n.stream.UpdateConsumer(ctx, have)
		return err
	}
	return nil
}
