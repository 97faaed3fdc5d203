package nats

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ingest"
)

// message is one message between its arrival and the journal.
type message struct {
	ingest.Message
	subject string
	reply   string        // of a request; empty: a plain publish, or of a stream
	origin  string        // see DeadLetter
	stream  jetstream.Msg // nil: it came by a plain subscription
	arrived time.Time
	msgID   string // Nats-Msg-Id, as sent
	events  int    // set when it is in a bundle

	endpoint *endpoint // that it came by, for its counts; nil: by the stream
}

// cost is about how many bytes the message takes in memory.
func (m *message) cost() int { return len(m.Body) + messageCost }

// readHeaders takes id, type and encoding out of the headers.
func (m *message) readHeaders(h nats.Header) {
	m.arrived = time.Now()
	if len(h) == 0 {
		return
	}
	m.msgID = h.Get(nats.MsgIdHdr)
	m.ID = m.msgID
	m.ContentType, m.Encoding = h.Get("Content-Type"), h.Get("Content-Encoding")
	if h.Get("ce-specversion") != "" {
		m.Header = h.Get
	}
}

// fromSubscription makes a message of what a plain subscription received.
func (b *Bridge) fromSubscription(subject, reply string, h nats.Header, data []byte) *message {
	m := &message{subject: subject, reply: reply}
	m.ServiceID, m.Body = b.subject.service(subject), data
	m.readHeaders(h)
	return m
}

// fromStream makes a message of what the stream delivered, and returns how often it was delivered. It counts once, however
// often that is, because of its place in the stream. An older version of the daemon gave such a message an id instead; a
// message that may have been delivered to it gets that id, too.
func (b *Bridge) fromStream(a *attachment, msg jetstream.Msg) (m *message, times uint64, err error) {
	at, err := msg.Metadata()
	if err != nil {
		return nil, 0, fmt.Errorf("nats: stream %s: %w", b.options.Stream, err)
	}
	m = &message{subject: msg.Subject(), stream: msg, origin: b.options.Stream + "-" + strconv.FormatUint(at.Sequence.Stream, 10)}
	m.ServiceID, m.Body, m.Sent, m.Source = b.subject.service(m.subject), msg.Data(), at.Timestamp, a.source(at.Sequence.Stream)
	m.readHeaders(msg.Headers())
	if m.ID == "" && at.NumDelivered > 1 && at.Timestamp.Before(b.opened) {
		m.ID = m.origin + "-" + strconv.FormatInt(at.Timestamp.UnixNano(), 36)
	}
	return m, at.NumDelivered, nil
}

// place identifies a message of a stream.
func (m *message) place() event.Source {
	return event.Source{Stream: m.Source.Stream, Sequence: m.Source.Sequence}
}

// part makes a message of bad events of a stream's message. Each part has an origin of its own, which is the same when the
// message is delivered again.
func (m *message) part(r ingest.Rejected) *message {
	p := *m
	p.Body = r.Payload
	if r.First > 0 || r.Offset > 0 {
		p.origin += "-" + strconv.Itoa(r.First) + "-" + strconv.Itoa(r.Offset)
	}
	if r.Type != "" {
		p.ContentType = r.Type
	}
	return &p
}

// deadLetter is the dead letter of a message that can never be taken.
func (m *message) deadLetter(r *ingest.Refusal) DeadLetter {
	if m.origin == "" {
		m.origin = strconv.FormatInt(m.arrived.UnixNano(), 36)
	}
	return DeadLetter{
		Origin: m.origin, ServiceID: m.ServiceID, Subject: m.subject, ID: m.msgID, Type: m.ContentType, Rejected: m.stream == nil,
		Payload: m.Body, Code: code(r.Status), Detail: r.Detail,
	}
}

// code names a refusal in dead letters and metrics.
func code(status int) string {
	switch status {
	case 400:
		return "malformed_message"
	case 413:
		return "message_too_large"
	case 415:
		return "message_type"
	}
	return "invalid_message"
}
