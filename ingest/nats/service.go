package nats

import (
	"fmt"
	"net/http"

	"github.com/nats-io/nats.go"
	"github.com/reporterd/reporterd/ingest"
)

// group is the queue group of all daemons: the server gives each message to one of them.
const group = "reporterd"

// startService subscribes as a micro service, so that `nats micro` shows it. The endpoint's data holds what became of messages.
func (b *Bridge) startService() (err error) {
	b.service, err = newDiscovery(b.conn, b.options.semanticVersion(),
		"Takes usage for 3scale: events as POST /v1/events has them; the last part of the subject is the service id.", func() any { return b.Stats() })
	if err != nil {
		return fmt.Errorf("nats: micro service: %w", err)
	}
	for _, q := range b.options.Questions {
		if err := b.addQuestion(q); err != nil {
			return err
		}
	}
	if b.options.Stream == "" { // else the same messages would be counted from the stream and from the subject
		err = b.service.addEndpoint("usage", b.subject.pattern, b.handleMessage)
	}
	if err != nil {
		return fmt.Errorf("nats: subscribe to %s: %w", b.subject, err)
	}
	// A message that is published once Open has returned must be received, so the server must have the subscriptions.
	if b.conn.IsConnected() && b.conn.FlushTimeout(b.options.ReplyTimeout) == nil {
		b.state.up.Store(true)
	}
	return nil
}

// authorize notes the grant of a message's sender.
func (b *Bridge) authorize(m *message, h nats.Header) (err error) {
	if b.options.Sender != nil {
		m.Grant, err = b.options.Sender(h)
	}
	return err
}

// handleMessage puts a message into its queue and returns at once: nats.go calls it for one message after the other.
func (b *Bridge) handleMessage(e *endpoint, r *nats.Msg) {
	m := b.fromSubscription(r.Subject, r.Reply, r.Header, r.Data)
	m.endpoint = e
	if err := b.authorize(m, r.Header); err != nil {
		b.refuse(m, ingest.NewRefusal(http.StatusUnauthorized, err.Error()))
		return
	}
	if m.reply == "" {
		if !b.publishes.offer(m) {
			b.counters.dropped.Add(1)
			b.logLimited("plain publishes are dropped", errOverrun)
		}
		return
	}
	if !b.answerable(m.reply) {
		b.refuseReply(m)
		return
	}
	if !b.requests.offer(m) {
		b.replyError(m, busy)
	}
}
