package nats

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/backoff"
	"github.com/reporterd/reporterd/internal/outage"
)

const (
	// pullMessages and pullBytes bound what the server sends in advance.
	pullMessages = 2 * groupMessages
	pullBytes    = 32 << 20

	// retryAttach and maxRetryAttach bound the wait between attempts to attach to the stream.
	retryAttach    = time.Second
	maxRetryAttach = 30 * time.Second

	// checkInterval is how often the consumer is looked up, which also tells up to which message all were acknowledged.
	checkInterval = 5 * time.Second

	// letterRetry is the delay of the redelivery of a message whose bad events could not be written as dead letters.
	letterRetry = 30 * time.Second
)

// errAttaching is the health of a stream until the first attempt to consume it has ended.
var errAttaching = errors.New("nats: the stream is not consumed yet")

// newStreamOutage logs when the stream can no longer be consumed, and when it can be again.
func newStreamOutage(o Options) *outage.Outage {
	return outage.New(outage.Options{
		Log:   o.Log.With(zap.String("stream", o.Stream), zap.String("consumer", o.Durable)),
		Begin: "cannot consume the stream: it is retried, and all else goes on", End: "consuming the stream again",
		BeginLevel: zap.ErrorLevel, EndLevel: zap.InfoLevel,
	})
}

// startConsumer starts the goroutine that consumes the stream; Stop ends it.
func (b *Bridge) startConsumer() error {
	js, err := jetstream.New(b.conn)
	if err == nil {
		b.acks, err = b.newAcks()
	}
	if err != nil {
		return fmt.Errorf("nats: stream %s: %w", b.options.Stream, err)
	}
	var ctx context.Context
	ctx, b.stopPulling = context.WithCancel(b.ctx)
	b.pullers.Go(func() { b.runConsumer(ctx, js) })
	return nil
}

// runConsumer attaches to the stream and consumes it, and begins again with a backoff when that fails, until ctx ends.
func (b *Bridge) runConsumer(ctx context.Context, js jetstream.JetStream) {
	retry := backoff.Backoff{Policy: backoff.Policy{Base: retryAttach, Max: maxRetryAttach}}
	for ctx.Err() == nil {
		a, err := b.attach(ctx, js)
		if err == nil {
			retry.Reset()
			err = b.consume(ctx, a)
		}
		if ctx.Err() != nil {
			return
		}
		b.streamOutage.Failed(err)
		retry.Wait(ctx, 0)
	}
}

// consume consumes until ctx or the subscription ends. It tells the server that messages that take long are in progress.
func (b *Bridge) consume(ctx context.Context, a *attachment) error {
	receive := func(m jetstream.Msg) { b.receive(a, m) }
	pulled, err := a.consumer.Consume(receive, jetstream.PullMaxMessagesWithBytesLimit(pullMessages, pullBytes),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			b.log.Debug("consuming the stream", zap.Error(err)) // an error that lasts ends the subscription
		}))
	if err != nil {
		return fmt.Errorf("nats: stream %s: %w", b.options.Stream, err)
	}
	if b.attached.Store(true); !b.streamOutage.Worked() {
		b.log.Info("consuming the stream", zap.String("stream", b.options.Stream), zap.String("consumer", b.options.Durable))
	}
	beat, check := time.NewTicker(a.ackWait/3), time.NewTicker(checkInterval)
	defer beat.Stop()
	defer check.Stop()
	defer pulled.Stop()
	for {
		select {
		case <-beat.C:
			b.extendAckWait(time.Now().Add(-a.ackWait / 3))
		case <-check.C:
			if err := b.check(ctx, a); err != nil {
				return err
			}
		case <-b.reconnected:
			if err := b.check(ctx, a); err != nil {
				return err
			}
		case <-pulled.Closed():
			return fmt.Errorf("nats: stream %s: consumer %s is gone", b.options.Stream, b.options.Durable)
		case <-ctx.Done():
			return nil
		}
	}
}

// check asks the server whether the consumer still exists. nats.go pulls from a deleted consumer without an error. Other errors
// are not returned: while the server cannot answer, the connection's state is reported.
func (b *Bridge) check(ctx context.Context, a *attachment) error {
	ctx, cancel := context.WithTimeout(ctx, b.options.ReplyTimeout)
	defer cancel()
	err := a.check(ctx)
	if errors.Is(err, errReplaced) {
		return fmt.Errorf("nats: stream %s: consumer %s: %w", b.options.Stream, b.options.Durable, err)
	}
	if err != nil {
		b.log.Debug("cannot check the consumer", zap.Error(err))
	}
	return nil
}

// extendAckWait tells the server that messages that arrived before a moment are still in progress.
func (b *Bridge) extendAckWait(before time.Time) {
	for _, m := range b.inFlight.since(before) {
		_ = m.stream.InProgress() // fails when the message was acknowledged meanwhile, or the server is away
	}
}

// receive puts a message of the stream into its queue. While the queue is full it blocks, and the server keeps the messages
// behind it.
//
// A message that is delivered again while it is in flight is dropped: the acknowledgement of the first delivery holds for it.
func (b *Bridge) receive(a *attachment, msg jetstream.Msg) {
	m, times, err := b.fromStream(a, msg)
	if err != nil {
		b.logLimited("a message cannot be taken and will be delivered again", err)
		return
	}
	if times > 1 {
		b.counters.redelivered.Add(1)
	}
	if !b.inFlight.add(m) {
		return
	}
	if !b.stream.put(m) {
		b.inFlight.remove([]*message{m})
	}
}

// acknowledge tells the server that messages are durable here.
func (b *Bridge) acknowledge(group []*message) {
	b.inFlight.remove(group)
	b.acks.send(group)
}

// postpone asks the server to deliver a message again after a delay.
func (b *Bridge) postpone(m *message, delay time.Duration) {
	b.inFlight.remove([]*message{m})
	if m.stream.NakWithDelay(delay) == nil { // else the server delivers it again after ackWait
		b.counters.postponed.Add(1)
	}
}

// terminate tells the server that a message is not to be delivered again: no event of it could be taken, and all of it is
// kept as dead letters.
func (b *Bridge) terminate(m *message) {
	b.inFlight.remove([]*message{m})
	if m.stream.TermWithReason("kept as dead letters") == nil { // else it is delivered again, and its dead letters are the same ones
		b.counters.terminated.Add(1)
	}
}
