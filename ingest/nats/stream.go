package nats

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// The settings of a stream and a consumer that are created here.
const (
	// ackWait is how long the server waits before it delivers a message again. A message that is in flight for a third of it
	// is reported as in progress.
	ackWait = 30 * time.Second

	// maxAckPending is how many messages the server delivers before it waits for acknowledgements.
	maxAckPending = 20_000

	// streamDuplicates is how long a new stream remembers the ids of published messages.
	streamDuplicates = 10 * time.Minute

	minAckWait = 3 * time.Second // of an existing consumer: below it, progress is reported too late
)

// streamConfig is the configuration of a new stream: a work queue that keeps messages until they are acknowledged, and
// refuses messages that do not fit instead of dropping the oldest.
func (b *Bridge) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.options.Stream, Description: "Usage on its way to reporterd", Subjects: []string{b.subject.pattern},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
		Duplicates: streamDuplicates,
	}
}

// consumerConfig is the configuration of a new consumer. It redelivers without end: the bridge ends bad messages itself.
func (b *Bridge) consumerConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: b.options.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1,
		FilterSubject: b.subject.pattern, MaxAckPending: maxAckPending,
	}
}

// attach finds or creates the stream and the consumer. An existing one is never changed; when its settings would lose or double
// usage, the error names them.
func (b *Bridge) attach(ctx context.Context, js jetstream.JetStream) (*attachment, error) {
	ctx, cancel := context.WithTimeout(ctx, b.options.ReplyTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, b.options.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, b.streamConfig())
	}
	if err != nil {
		return nil, fmt.Errorf("nats: stream %s: %w", b.options.Stream, err)
	}
	consumer, err := stream.Consumer(ctx, b.options.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		if err = checkStream(stream.CachedInfo().Config, b.subject); err == nil {
			consumer, err = stream.CreateConsumer(ctx, b.consumerConfig())
		}
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		err = errors.New("it is a push consumer: expected a pull consumer")
	case err == nil:
		err = checkConsumer(consumer.CachedInfo().Config, b.subject)
	}
	if err != nil {
		return nil, fmt.Errorf("nats: stream %s: consumer %s: %w", b.options.Stream, b.options.Durable, err)
	}
	return newAttachment(stream.CachedInfo(), consumer), nil
}

// checkStream returns an error when a stream cannot hold messages that match a subject.
func checkStream(c jetstream.StreamConfig, subject Subject) error {
	if len(c.Subjects) == 0 || slices.ContainsFunc(c.Subjects, func(s string) bool { return overlap(s, subject.pattern) }) {
		return nil // a stream without subjects is a mirror or has sources
	}
	return fmt.Errorf("the stream has subjects %s: expected one that meets %s", strings.Join(c.Subjects, ", "), subject)
}

// overlap reports whether there is a subject that both patterns match.
func overlap(a, b string) bool {
	x, y := strings.Split(a, "."), strings.Split(b, ".")
	for i := 0; i < len(x) && i < len(y); i++ {
		switch {
		case x[i] == ">" || y[i] == ">":
			return true
		case x[i] != y[i] && x[i] != "*" && y[i] != "*":
			return false
		}
	}
	return len(x) == len(y)
}

// checkConsumer names the settings of an existing consumer that would lose messages or count them twice.
func checkConsumer(c jetstream.ConsumerConfig, subject Subject) error {
	var wrong []error
	differs := func(is bool, what string, got, want any) {
		if is {
			wrong = append(wrong, fmt.Errorf("%s is %v: expected %v", what, got, want))
		}
	}
	filters := c.FilterSubjects
	if c.FilterSubject != "" {
		filters = []string{c.FilterSubject}
	}
	differs(c.AckPolicy != jetstream.AckExplicitPolicy, "ack_policy", c.AckPolicy, jetstream.AckExplicitPolicy)
	differs(c.MaxDeliver > 0, "max_deliver", c.MaxDeliver, "-1, since it would lose what is delivered too often")
	differs(len(c.BackOff) > 0, "backoff", c.BackOff, "none, since it replaces ack_wait")
	differs(c.AckWait < minAckWait, "ack_wait", c.AckWait, "at least "+minAckWait.String())
	differs(len(filters) != 1 || filters[0] != subject.pattern, "filter_subject", strings.Join(filters, ", "), subject)
	differs(c.HeadersOnly, "headers_only", true, false)
	return errors.Join(wrong...)
}
