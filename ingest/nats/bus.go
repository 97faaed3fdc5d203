package nats

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"go.uber.org/zap"
)

// Bus takes usage from NATS. Open makes one, Stop ends it.
type Bus struct {
	options  Options
	log      *zap.Logger
	conn     *nats.Conn
	subject  Subject
	counters counters
	link     link

	service  micro.Service
	requests *queue // who waits for an answer
	publishs *queue // who does not
	stream   *queue // of the stream
	graves   graves
	asking   chan struct{} // has one entry for each question being answered
	acks     *acks         // nil without a stream
	held     held

	complained atomic.Int64 // when, Unix nanoseconds

	life    context.Context    // ends when Stop does not want to wait any longer
	end     context.CancelFunc // ends life
	taking  context.CancelFunc // ends what takes messages of the stream; nil without
	working sync.WaitGroup     // the workers
	digging sync.WaitGroup     // the goroutine of graves
	pulling sync.WaitGroup     // the goroutines of the stream
}

// Open connects and begins to take messages. A server that is not there is no error: it is asked again until
// there is one, and Trouble says so meanwhile.
func Open(o Options) (*Bus, error) {
	subject, err := ParseSubject(o.Subject)
	if err != nil {
		return nil, fmt.Errorf("nats: subject: %w", err)
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Patience == 0 {
		o.Patience = 5 * time.Second
	}
	if len(o.Inboxes) == 0 {
		o.Inboxes = DefaultInboxes
	}
	b := &Bus{
		options: o, log: o.Log, subject: subject, graves: make(graves, maxGraves), asking: make(chan struct{}, maxAsking),
		requests: newQueue(), publishs: newQueue(), stream: newQueue(),
	}
	b.life, b.end = context.WithCancel(context.Background())
	if err := b.connect(); err != nil {
		return nil, err
	}
	if err := b.begin(); err != nil {
		b.conn.Close()
		b.end()
		return nil, err
	}
	return b, nil
}

// begin starts the goroutines, which Stop ends.
func (b *Bus) begin() error {
	b.digging.Go(b.dig)
	if b.options.Stream == "" {
		b.employ(b.requests, singleWorkers, 1)
		b.employ(b.publishs, groupWorkers, groupMessages)
	}
	if err := b.serve(); err != nil || b.options.Stream == "" {
		return err
	}
	b.employ(b.stream, groupWorkers, groupMessages)
	return b.consume()
}

// maxStop bounds Stop, whatever its context allows.
const maxStop = 30 * time.Second

// Stop takes nothing more, sees what was taken through and says goodbye to the server. It returns within ctx;
// what was not durable then was not answered either.
func (b *Bus) Stop(ctx context.Context) error {
	if b.link.closing.Swap(true) {
		return nil // it was stopped before
	}
	ctx, cancel := context.WithTimeout(ctx, maxStop)
	defer cancel()
	defer context.AfterFunc(ctx, b.end)()
	b.leave(ctx)
	for _, q := range []*queue{b.requests, b.publishs, b.stream} {
		q.close()
	}
	err := errors.Join(b.hush(ctx), wait(ctx, b.working.Wait))
	if err == nil {
		close(b.graves)
		err = wait(ctx, b.digging.Wait)
	}
	if b.acks != nil {
		err = errors.Join(err, b.acks.settle(ctx))
	}
	if b.conn.IsConnected() {
		err = errors.Join(err, b.conn.FlushWithContext(ctx))
	}
	b.conn.Close()
	b.end()
	if err != nil {
		return fmt.Errorf("nats: stop: %w", err)
	}
	return nil
}

// leave ends the subscriptions, and returns once what they had received is in the queues.
func (b *Bus) leave(ctx context.Context) {
	if b.taking != nil {
		b.taking()
		_ = wait(ctx, b.pulling.Wait) // what stays behind is delivered again
	}
	if b.service == nil || !b.conn.IsConnected() {
		return
	}
	if err := b.service.Stop(); err != nil {
		b.log.Debug("leaving the queue group", zap.Error(err)) // the connection ends soon, and with it the membership
	}
	_ = b.conn.FlushWithContext(ctx)
	for b.options.Stream == "" && b.conn.NumSubscriptions() > 0 && ctx.Err() == nil { // drained ones go one by one
		select {
		case <-time.After(5 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// wait returns once done has, or ctx ends.
func wait(ctx context.Context, done func()) error {
	ended := make(chan struct{})
	go func() { // ends with what it waits for, which ends with Bus.life at the latest
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
