package nats

import (
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/reporterd/reporterd/ingest"
)

// message is one message on its way to the journal.
type message struct {
	ingest.Message
	subject string
	reply   string        // of a request; empty: nobody waits
	origin  string        // as of a Letter
	stream  jetstream.Msg // nil: it did not come from a stream
	came    time.Time
	marked  string // Nats-Msg-Id, as sent
	events  int    // once it is in a bundle
}

func (m *message) cost() int { return len(m.Body) + messageCost }

// label reads the headers. nats.Header and micro's are the same map.
func (m *message) label(h nats.Header) {
	m.came = time.Now()
	if len(h) == 0 {
		return
	}
	m.marked = h.Get(nats.MsgIdHdr)
	m.ID = m.marked
	m.ContentType, m.Encoding = h.Get("Content-Type"), h.Get("Content-Encoding")
}

// received is a message of a plain subscription.
func (b *Bus) received(subject, reply string, h nats.Header, data []byte) *message {
	m := &message{subject: subject, reply: reply}
	m.ServiceID, m.Body = b.subject.service(subject), data
	m.label(h)
	return m
}

// delivered is a message of the stream, and how often it was. Without an id of its own it gets one that no
// other message has, not even that of a stream that is made anew: it must count once, however often it comes.
func (b *Bus) delivered(msg jetstream.Msg) (m *message, times uint64) {
	m = &message{subject: msg.Subject(), stream: msg}
	m.ServiceID, m.Body = b.subject.service(m.subject), msg.Data()
	m.label(msg.Headers())
	at, err := msg.Metadata()
	if err != nil {
		m.origin = b.options.Stream
		return m, 1
	}
	m.origin = b.options.Stream + "-" + strconv.FormatUint(at.Sequence.Stream, 10)
	m.Sent = at.Timestamp
	if m.ID == "" {
		m.ID = m.origin + "-" + strconv.FormatInt(at.Timestamp.UnixNano(), 36)
	}
	return m, at.NumDelivered
}

// part is what is kept of a message of a stream of which not every event can be taken. Each part has an origin of its
// own, which is the same when the message is delivered again.
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

// letter is what is kept of a message that can never be taken.
func (m *message) letter(r *ingest.Refusal) Letter {
	if m.origin == "" {
		m.origin = strconv.FormatInt(m.came.UnixNano(), 36)
	}
	return Letter{
		Origin: m.origin, ServiceID: m.ServiceID, Subject: m.subject, ID: m.marked, Type: m.ContentType, Rejected: m.stream == nil,
		Payload: m.Body, Code: code(r.Status), Detail: r.Detail,
	}
}

// code names a refusal in letters and metrics.
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
