package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/outage"
)

// Bridge takes usage from NATS into the journal. Open returns one, Stop ends it. Its methods may be called concurrently.
type Bridge struct {
	options  Options
	log      *zap.Logger
	conn     *nats.Conn
	subject  Subject
	counters counters
	state    connState

	service       *discovery
	requests      *queue // their senders wait for an answer
	publishes     *queue // plain ones: their senders do not wait
	stream        *queue // messages of the stream
	rejected      deadLetterQueue
	questionSlots chan struct{} // holds one element for each question being answered
	acks          *acks         // nil without Options.Stream
	inFlight      inFlight
	opened        time.Time      // when Open was called
	reconnected   chan struct{}  // holds an element after a reconnect, until the consumer was checked
	streamOutage  *outage.Outage // whether the stream cannot be consumed
	attached      atomic.Bool    // whether it was consumed once

	lastLogged atomic.Int64 // when logLimited logged last, Unix nanoseconds

	ctx          context.Context    // ends when Stop gives up waiting
	cancel       context.CancelFunc // ends ctx
	stopPulling  context.CancelFunc // ends the stream's goroutine; nil without Options.Stream
	workers      sync.WaitGroup     // the workers
	letterWriter sync.WaitGroup     // the goroutine of graves
	pullers      sync.WaitGroup     // the goroutines of the stream
}

// Open connects and begins to take messages. A server that cannot be reached is no error: the connection is retried without
// end, and Health returns the reason meanwhile.
func Open(o Options) (*Bridge, error) {
	subject, err := ParseSubject(o.Subject)
	if err != nil {
		return nil, fmt.Errorf("nats: subject: %w", err)
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.ReplyTimeout == 0 {
		o.ReplyTimeout = 5 * time.Second
	}
	if len(o.InboxPrefixes) == 0 {
		o.InboxPrefixes = DefaultInboxPrefixes
	}
	b := &Bridge{
		options: o, log: o.Log, subject: subject, rejected: make(deadLetterQueue, maxRejected), questionSlots: make(chan struct{}, maxQuestions),
		streamOutage: newStreamOutage(o), opened: time.Now(), reconnected: make(chan struct{}, 1), requests: newQueue(), publishes: newQueue(), stream: newQueue(),
	}
	b.ctx, b.cancel = context.WithCancel(context.Background())
	if err := b.connect(); err != nil {
		return nil, err
	}
	if err := b.begin(); err != nil {
		b.conn.Close()
		b.cancel()
		return nil, err
	}
	return b, nil
}

// begin starts the goroutines; Stop ends them.
func (b *Bridge) begin() error {
	b.letterWriter.Go(b.writeDeadLetters)
	if b.options.Stream == "" {
		b.startWorkers(b.requests, singleWorkers, 1)
		b.startWorkers(b.publishes, groupWorkers, groupMessages)
	}
	if err := b.startService(); err != nil || b.options.Stream == "" {
		return err
	}
	b.startWorkers(b.stream, groupWorkers, groupMessages)
	return b.startConsumer()
}

// maxStop bounds Stop, also where its context has no deadline.
const maxStop = 30 * time.Second

// Stop takes no more messages, waits until those received are durable and acknowledged, and closes the connection. It
// returns when ctx ends at the latest; a message that is not durable by then was not answered or acknowledged either.
func (b *Bridge) Stop(ctx context.Context) error {
	if b.state.closing.Swap(true) {
		return nil // it was called before
	}
	ctx, cancel := context.WithTimeout(ctx, maxStop)
	defer cancel()
	defer context.AfterFunc(ctx, b.cancel)()
	b.unsubscribe(ctx)
	for _, q := range []*queue{b.requests, b.publishes, b.stream} {
		q.close()
	}
	err := errors.Join(b.drainQuestions(ctx), wait(ctx, b.workers.Wait))
	if err == nil {
		close(b.rejected)
		err = wait(ctx, b.letterWriter.Wait)
	}
	if b.acks != nil {
		err = errors.Join(err, b.acks.drain(ctx))
	}
	if b.conn.IsConnected() {
		err = errors.Join(err, b.conn.FlushWithContext(ctx))
	}
	b.conn.Close()
	b.cancel()
	if err != nil {
		return fmt.Errorf("nats: stop: %w", err)
	}
	return nil
}

// unsubscribe ends the subscriptions. It returns once the messages that they had received are in the queues, or ctx ends.
func (b *Bridge) unsubscribe(ctx context.Context) {
	if b.stopPulling != nil {
		b.stopPulling()
		_ = wait(ctx, b.pullers.Wait) // messages that are not in the queue by then are delivered again
	}
	if b.service == nil || !b.conn.IsConnected() {
		return
	}
	if err := b.service.stop(); err != nil {
		b.log.Debug("leaving the queue group", zap.Error(err)) // closing the connection ends the membership, too
	}
	_ = b.conn.FlushWithContext(ctx)
	for b.options.Stream == "" && b.conn.NumSubscriptions() > 0 && ctx.Err() == nil { // nats.go removes them one by one when they are drained
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// wait returns once done has returned, or ctx ends.
func wait(ctx context.Context, done func()) error {
	ended := make(chan struct{})
	go func() { // ends with what it waits for, which ends with Bridge.life at the latest
		done()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
