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

// What a stream and a consumer are made with, when there are none.
const (
	// ackWait is how long the server waits before it delivers a message again. Messages that are with us for
	// a third of it are reported as in progress.
	ackWait = 30 * time.Second

	// maxAckPending is how many messages may be with us at once.
	maxAckPending = 20_000

	// streamDuplicates is how long a new stream knows the ids of what was published.
	streamDuplicates = 10 * time.Minute

	minAckWait = 3 * time.Second // of a consumer that was there: below it, heartbeats come too late
)

// streamConfig is a new stream's: a queue that keeps what is not acknowledged, and refuses what does not fit
// rather than drop the oldest.
func (b *Bus) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: b.options.Stream, Description: "Usage on its way to reporterd", Subjects: []string{b.subject.pattern},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, Storage: jetstream.FileStorage,
		Duplicates: streamDuplicates,
	}
}

// consumerConfig is a new consumer's: it delivers for ever, since what can never be taken is ended by us.
func (b *Bus) consumerConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: b.options.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxDeliver: -1,
		FilterSubject: b.subject.pattern, MaxAckPending: maxAckPending,
	}
}

// attach finds or makes the stream and the consumer. What is there is never changed: when it is not fit for
// its purpose, the error says how.
func (b *Bus) attach(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, b.options.Patience)
	defer cancel()
	stream, err := js.Stream(ctx, b.options.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, b.streamConfig())
	}
	if err != nil {
		return nil, 0, fmt.Errorf("nats: stream %s: %w", b.options.Stream, err)
	}
	consumer, err := stream.Consumer(ctx, b.options.Durable)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		if err = serves(stream.CachedInfo().Config, b.subject); err == nil {
			consumer, err = stream.CreateConsumer(ctx, b.consumerConfig())
		}
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		err = errors.New("it is a push consumer: expected a pull consumer")
	case err == nil:
		err = fit(consumer.CachedInfo().Config, b.subject)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("nats: stream %s: consumer %s: %w", b.options.Stream, b.options.Durable, err)
	}
	return consumer, consumer.CachedInfo().Config.AckWait, nil
}

// serves says whether a stream can hold what a subject matches.
func serves(c jetstream.StreamConfig, subject Subject) error {
	if len(c.Subjects) == 0 || slices.ContainsFunc(c.Subjects, func(s string) bool { return overlap(s, subject.pattern) }) {
		return nil // without subjects of its own it is a mirror, or has sources
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

// fit says how a consumer that is there differs from one that loses nothing and counts nothing twice.
func fit(c jetstream.ConsumerConfig, subject Subject) error {
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
