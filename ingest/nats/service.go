package nats

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
)

// group is the queue group of all daemons: each message goes to one of them.
const group = "reporterd"

// serve subscribes as a micro service, so that nats micro shows who takes usage. Its own counts of a request
// are of taking it in; what became of it is in the endpoint's data.
func (b *Bus) serve() (err error) {
	b.service, err = micro.AddService(b.conn, micro.Config{
		Name: "reporterd", Version: b.options.release(), QueueGroup: group,
		Description:  "Takes usage for 3scale: events as POST /v1/events has them; the last part of the subject is the service id.",
		StatsHandler: func(*micro.Endpoint) any { return b.Stats() },
	})
	if err != nil {
		return fmt.Errorf("nats: micro service: %w", err)
	}
	for _, q := range b.options.Asked {
		if err := b.ask(q); err != nil {
			return err
		}
	}
	if b.options.Stream == "" { // what a stream takes is not for us as well
		err = b.service.AddEndpoint("usage", micro.HandlerFunc(b.handle),
			micro.WithEndpointSubject(b.subject.pattern), micro.WithEndpointPendingLimits(-1, maxWaiting))
	}
	if err != nil {
		return fmt.Errorf("nats: subscribe to %s: %w", b.subject, err)
	}
	// Who publishes once we are open is to be heard. A server that is lost meanwhile is said by disconnected.
	if b.conn.IsConnected() && b.conn.FlushTimeout(b.options.Patience) == nil {
		b.link.up.Store(true)
	}
	return nil
}

// handle puts a message into its queue, and returns at once: while it waits, others could not be received.
func (b *Bus) handle(r micro.Request) {
	m := b.received(r.Subject(), r.Reply(), nats.Header(r.Headers()), r.Data())
	if m.reply == "" {
		if !b.publishs.offer(m) {
			b.counters.dropped.Add(1)
			b.complain("plain publishes are dropped", errOverrun)
		}
		return
	}
	if !b.answerable(m.reply) {
		b.refuseReply(m)
		return
	}
	if !b.requests.offer(m) {
		b.decline(m, busy)
	}
}
