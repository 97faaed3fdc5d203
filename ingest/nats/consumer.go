package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"
)

const (
	// pullMessages and pullBytes bound what the server may send ahead.
	pullMessages = 2 * groupMessages
	pullBytes    = 32 << 20

	// retryAttach and maxRetryAttach are the waits between attempts to get at the stream.
	retryAttach    = time.Second
	maxRetryAttach = 30 * time.Second

	// letterRetry is when a message comes again that can never be taken and could not be kept.
	letterRetry = 30 * time.Second
)

// errAttaching is the state of a stream before the first attempt to consume it has ended.
var errAttaching = errors.New("nats: the stream is not consumed yet")

// consume begins to take messages of the stream, for ever.
func (b *Bus) consume() error {
	js, err := jetstream.New(b.conn)
	if err == nil {
		b.acks, err = b.confirmed()
	}
	if err != nil {
		return fmt.Errorf("nats: stream %s: %w", b.options.Stream, err)
	}
	b.held.trouble.Store(&errAttaching)
	var ctx context.Context
	ctx, b.taking = context.WithCancel(b.life)
	b.pulling.Go(func() { b.pull(ctx, js) })
	return nil
}

// pull attaches to the stream and consumes it until that ends, again and again until ctx ends.
func (b *Bus) pull(ctx context.Context, js jetstream.JetStream) {
	wait := retryAttach
	for ctx.Err() == nil {
		consumer, ackWait, err := b.attach(ctx, js)
		if err == nil {
			wait = retryAttach
			err = b.follow(ctx, consumer, ackWait)
		}
		if ctx.Err() != nil {
			return
		}
		if before := b.held.trouble.Swap(&err); before == nil || before == &errAttaching {
			b.log.Error("the stream is not consumed: it is tried again, and all else goes on", zap.Error(err))
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
		wait = min(2*wait, maxRetryAttach)
	}
}

// follow consumes until ctx or the subscription ends, and reports what takes long as in progress.
func (b *Bus) follow(ctx context.Context, consumer jetstream.Consumer, ackWait time.Duration) error {
	pulled, err := consumer.Consume(b.take, jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			b.log.Debug("consuming the stream", zap.Error(err)) // what does not go away ends the subscription
		}))
	if err != nil {
		return fmt.Errorf("nats: stream %s: %w", b.options.Stream, err)
	}
	b.held.trouble.Store(nil)
	b.log.Info("consuming the stream", zap.String("stream", b.options.Stream), zap.String("consumer", b.options.Durable))
	beat := time.NewTicker(ackWait / 3)
	defer beat.Stop()
	defer pulled.Stop()
	for {
		select {
		case <-beat.C:
			b.beat(time.Now().Add(-ackWait / 3))
		case <-pulled.Closed():
			return fmt.Errorf("nats: stream %s: consumer %s is gone", b.options.Stream, b.options.Durable)
		case <-ctx.Done():
			return nil
		}
	}
}

// beat tells the server that we still have what came before a moment.
func (b *Bus) beat(before time.Time) {
	for _, m := range b.held.since(before) {
		_ = m.stream.InProgress() // fails when it is done with, or the server is away
	}
}

// take puts a message of the stream into its queue, as soon as there is room; meanwhile the server keeps the
// others.
func (b *Bus) take(msg jetstream.Msg) {
	m, times := b.delivered(msg)
	if times > 1 {
		b.counters.redelivered.Add(1)
	}
	b.held.add(m)
	if !b.stream.put(m) {
		b.held.release([]*message{m})
	}
}

// acknowledge tells the server that messages are durable here.
func (b *Bus) acknowledge(group []*message) {
	b.held.release(group)
	b.acks.send(group)
}

// postpone sends a message back for a while.
func (b *Bus) postpone(m *message, delay time.Duration) {
	b.held.release([]*message{m})
	if m.stream.NakWithDelay(delay) == nil { // else it comes again after ackWait
		b.counters.postponed.Add(1)
	}
}

// terminate ends a message of which no event could be taken. All of it is kept as dead letters.
func (b *Bus) terminate(m *message) {
	b.held.release([]*message{m})
	if m.stream.TermWithReason("kept as dead letters") == nil { // else it comes again, and its letters are the same
		b.counters.terminated.Add(1)
	}
}
