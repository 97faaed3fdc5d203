package ingest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// Message is the payload of POST /v1/events that arrived through NATS, with the data of its subject and headers.
type Message struct {
	ServiceID   string                   // named by its subject: its events may leave it out, and must not name another one
	ID          string                   // of the message; empty: none
	ContentType string                   // empty: JSON
	Header      func(name string) string // returns a header, for CloudEvents in binary mode; nil: it has none
	Encoding    string                   // Content-Encoding; none but identity is understood
	Sent        time.Time                // when the stream took it: the time of events without one; zero: now
	Grant       *access.Grant            // of the sender; nil: it may send for any service, at any rate
	Source      *event.Source            // the place in its stream; nil: it is not of a stream. Kept until the Bundle's next Reset
	Body        []byte                   // not changed, and not touched until the Bundle's next Reset
}

// Refusal is why messages were not taken.
type Refusal struct {
	Status     int // that of an HTTP answer; with 429 and 503 a later attempt may succeed
	Detail     string
	RetryAfter time.Duration // beside 429 and 503
	Problem    []byte        // application/problem+json, as HTTP would have answered
}

// Later reports whether a later attempt with the same messages may succeed.
func (r *Refusal) Later() bool {
	return r.Status == http.StatusTooManyRequests || r.Status == http.StatusServiceUnavailable
}

// keepBundle is how many events, and twice as many increments, a bundle keeps memory for. A group of messages in a busy stream has
// that many: growing a slice of them again for each group took a third of the time.
const keepBundle = 64 << 10

// Bundle collects the events of many messages for one Append, which costs one group commit. NewBundle returns one; it can be
// reset and reused. It is not safe for concurrent use.
type Bundle struct {
	decoder
	handler  *Handler
	messages int
	bytes    int
}

// NewBundle returns an empty bundle.
func (h *Handler) NewBundle() *Bundle {
	b := &Bundle{handler: h}
	b.Reset()
	return b
}

// Reset empties the bundle. Messages added later are validated with the services configured now.
func (b *Bundle) Reset() { b.clear(b.handler.services.Load(), time.Now()) }

// clear empties the bundle for messages that are validated with services as of a moment.
func (b *Bundle) clear(s *services, at time.Time) {
	if cap(b.events) > keepBundle || cap(b.usage) > 2*keepBundle {
		b.decoder = decoder{}
	}
	b.reset(s, at, b.handler.maxEvents)
	b.body, b.messages, b.bytes = nil, 0, 0
}

// Len is how many events are in the bundle.
func (b *Bundle) Len() int { return len(b.events) }

// Add decodes a message and returns how many events it has. A message is taken whole or not at all. An event without an ID
// gets that of its message: as it is where the message has one event, else with a slash and the event's index, so that a
// redelivered message counts once.
func (b *Bundle) Add(m Message) (events int, refused *Refusal) {
	usage := len(b.usage)
	b.first, b.faults, b.body, b.named, b.barred = len(b.events), faults{}, m.Body, m.ServiceID, false
	if b.grant != m.Grant {
		b.grant, b.last = m.Grant, nil // the service of the last message may not be for this sender
	}
	b.stamp = b.stampOf(m.Sent)
	p, ok := b.read(m)
	var wait time.Duration
	if ok {
		if wait = m.Grant.Take(len(b.events) - b.first); wait > 0 {
			p, ok = overRate(m.Grant), false
		}
	}
	if !ok {
		clear(b.events[b.first:])
		b.events, b.usage = b.events[:b.first], b.usage[:usage]
		b.handler.counters.messages.answered(p.Status)
		return 0, newRefusal(p, wait)
	}
	added := b.events[b.first:]
	name(added, m.ID)
	if m.Source != nil {
		for i := range added {
			added[i].Source = m.Source
		}
	}
	b.messages++
	b.bytes += len(m.Body)
	return len(added), nil
}

// stampOf is the time of a message in Unix seconds; 0 when the backend would refuse usage of that time.
func (b *Bundle) stampOf(sent time.Time) int64 {
	switch unix := sent.Unix(); {
	case sent.IsZero(), unix > b.now:
		return b.now
	case unix < b.services.oldest(b.now):
		return 0
	default:
		return unix
	}
}

// read decodes the body of m.
func (b *Bundle) read(m Message) (p problem, ok bool) {
	lines, p := b.framing(&m)
	var err error
	switch b.body = m.Body; {
	case p.Status != 0:
		return p, false
	case int64(len(m.Body)) > b.handler.maxBody:
		return problemOf(tooLarge(b.handler.maxBody)), false
	case lines:
		err = b.lines()
	default:
		err = b.decode()
	}
	if err != nil {
		return problemOf(err), false
	}
	return b.verdict()
}

// framing returns whether m has one event a line, and makes its body one that the decoder reads. A problem with a status is one of
// the message as a whole.
func (b *Bundle) framing(m *Message) (lines bool, p problem) {
	f, err := format(m.ContentType)
	if err == nil && m.Encoding != "" && !strings.EqualFold(m.Encoding, "identity") {
		err = errors.New("the Content-Encoding must be none")
	}
	switch {
	case err != nil:
		return false, problem{Status: http.StatusUnsupportedMediaType, Detail: err.Error()}
	case threescale.TooLong(m.ID):
		return false, problem{Status: http.StatusUnprocessableEntity, Detail: fmt.Sprintf("the message's id must have at most %d characters", threescale.MaxName)}
	}
	body, p := prepare(m.Body, f, m.Header)
	if p.Status == 0 {
		m.Body = body
	}
	return f == formatLines, p
}

// verdict returns ok when no event of the body has a fault, else the problem to answer with.
func (d *decoder) verdict() (p problem, ok bool) {
	if d.faults.total == 0 {
		return problem{}, true
	}
	detail := fmt.Sprintf("%d of %d events cannot be taken; nothing was kept", d.faults.events, d.index())
	status := http.StatusUnprocessableEntity
	if d.barred {
		status = http.StatusForbidden
	}
	return problem{Status: status, Detail: detail, Errors: d.faults.list, Total: d.faults.total}, false
}

// name gives events without an id the one of their message.
func name(events []event.Event, id string) {
	if id == "" {
		return
	}
	for i := range events {
		switch {
		case events[i].ID != "":
		case len(events) == 1:
			events[i].ID = id
		default:
			events[i].ID = id + "/" + strconv.Itoa(i)
		}
	}
}

// Append returns once every event of the bundle is durable, or with the reason why they must be sent again.
func (b *Bundle) Append(ctx context.Context) (duplicates int, refused *Refusal) {
	counted := &b.handler.counters.messages
	duplicates, err := b.handler.append(ctx, b.events)
	if err != nil {
		answer := b.handler.health.failed(err)
		counted.all(answer.status, b.messages)
		if b.messages > 1 { // the indexes are not those of a message
			answer.partial = nil
		}
		return 0, newRefusal(answer.problem(), answer.retryAfter)
	}
	counted.all(http.StatusAccepted, b.messages)
	counted.taken.Add(uint64(len(b.events)))
	counted.bytes.Add(uint64(b.bytes))
	return duplicates, nil
}

func newRefusal(p problem, retryAfter time.Duration) *Refusal {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("ingest: marshal problem: %v", err)) // strings and numbers only
	}
	detail := p.Detail
	if len(p.Errors) > 0 {
		detail = fmt.Sprintf("%s: event %d: %s %s", detail, p.Errors[0].Index, p.Errors[0].Field, p.Errors[0].Detail)
	}
	return &Refusal{Status: p.Status, Detail: detail, RetryAfter: retryAfter, Problem: body}
}

// NewRefusal is a refusal for a reason that is not one of an event.
func NewRefusal(status int, detail string) *Refusal {
	return newRefusal(problem{Status: status, Detail: detail}, 0)
}

// Busy is the refusal of a message that found the queue full.
func Busy(retryAfter time.Duration) *Refusal {
	return newRefusal(problem{Status: http.StatusServiceUnavailable, Detail: "too many messages at once"}, retryAfter)
}
