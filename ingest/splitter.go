package ingest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"
)

// maxRejected bounds the payload of one Rejected, in bytes: a dead letter holds as much.
const maxRejected = 100 << 10

// maxPart bounds Source.Next.
const maxPart = 1 << 24

// Rejected is a part of a message that can never be taken, byte by byte as it was received.
type Rejected struct {
	First   int    // the index of its first event; 0 where nothing of the message can be read
	Offset  int    // where the payload begins in the event or message that it is a piece of, in bytes
	Events  int    // how many events it holds; 0: it is a piece of one, or of a message that cannot be read
	Type    string // Content-Type of the payload; empty: that of the message
	Payload []byte // at most maxRejected bytes
	Why     *Refusal
}

// Splitter takes the good events of a message that Bundle.Add refuses. It is for messages of a stream, which has acknowledged
// them to their publishers. Every event is either in the bundle of a Next or in a Rejected, so that a bad event does not affect
// the rest, and a message may be larger than a request.
//
// Both passes validate with the services and the time at which it was made, so their results agree.
type Splitter struct {
	bundle   *Bundle
	message  Message
	services *services
	at       time.Time
	lines    bool
	useless  *problem // why no event of the message can be decoded; nil: each event is decoded by itself

	position int // in the body, in bytes: where the next event is looked for
	index    int // of that event
	total    int // events in the message, once Reject has returned
	taken    int
	refused  int
}

// Split begins with a message, which must not change until its last Next. The bundle is the Splitter's until then.
func (b *Bundle) Split(m Message) *Splitter {
	s := &Splitter{bundle: b, message: m, services: b.handler.services.Load(), at: time.Now()}
	var p problem
	if s.lines, p = b.framing(&s.message); p.Status != 0 {
		s.useless = &p
	} else if !s.lines && !json.Valid(s.message.Body) {
		b.reset(s.services, s.at, b.handler.maxEvents)
		b.body, b.named = s.message.Body, m.ServiceID
		err := b.decode() // its error holds the position, unless there are too many events in front of it
		s.useless = &problem{Status: http.StatusBadRequest, Detail: "the message is not valid JSON"}
		if wrong, ok := err.(*malformed); ok {
			s.useless.Detail = wrong.Error()
		}
	}
	return s
}

// Taken and Refused are how many events were in a Next and in a Rejected.
func (s *Splitter) Taken() int   { return s.taken }
func (s *Splitter) Refused() int { return s.refused }

// Reject calls keep with all parts that can never be taken, in order. It stops at the first error and returns it. It must be
// called before Next: a message whose bad events could not be kept is delivered again, and good events that were taken before
// would then be taken twice.
func (s *Splitter) Reject(keep func(Rejected) error) error {
	if s.useless != nil {
		return s.pieces(0, s.message.Body, "", newRefusal(*s.useless, 0), keep)
	}
	page := rejects{salvage: s, keep: keep}
	for s.fill(page.add) && page.err == nil {
	}
	s.total = s.index
	page.flush()
	s.rewind()
	return page.err
}

// Next fills the bundle with the next good events, at most as many as one request may carry. It returns false when there are
// none left.
func (s *Splitter) Next() bool {
	if s.useless != nil {
		return false
	}
	for {
		more := s.fill(nil)
		if n := len(s.bundle.events); n > 0 {
			s.taken += n
			s.setSource(more)
			return true
		}
		if !more {
			return false
		}
	}
}

// setSource gives the events of a part the place of their message, and where the next part begins. Parts are cut by the index of
// their events, good and bad, so that a redelivery has the same parts although services were configured meanwhile.
func (s *Splitter) setSource(more bool) {
	if s.message.Source == nil {
		return
	}
	part := *s.message.Source
	if more {
		if s.index >= maxPart {
			return // the index cannot be remembered: such a part counts again if it is delivered again
		}
		part.Next = uint32(s.index)
	}
	for i := range s.bundle.events {
		s.bundle.events[i].Source = &part
	}
}

// Append makes the events of the last Next durable.
func (s *Splitter) Append(ctx context.Context) (duplicates int, refused *Refusal) {
	return s.bundle.Append(ctx)
}

// rewind goes back to the first event.
func (s *Splitter) rewind() { s.position, s.index = 0, 0 }

// fill empties the bundle and decodes as many events into it as one request may carry, bad ones included; then it returns true.
// It returns false when it has come to the end. It calls bad, unless nil, for every event that cannot be taken.
func (s *Splitter) fill(bad func(index int, raw []byte, why string)) (more bool) {
	b := s.bundle
	b.clear(s.services, s.at)
	b.body, b.named = s.message.Body, s.message.ServiceID
	b.stamp = b.stampOf(s.message.Sent)
	for end := s.index + b.maxEvents; s.index < end; {
		start, ok := s.next()
		if !ok {
			return false
		}
		b.faults = faults{}
		had := len(b.events)
		end, err := b.event(start)
		if err != nil { // only with one event a line: an array was checked before
			end = lineEnd(b.body, start)
			b.faults.events = 1
			b.faults.add(0, "", err.Error())
		} else if s.lines {
			end = s.endOfLine(end)
		}
		if b.faults.events > 0 {
			if len(b.events) > had {
				b.drop(len(b.usage) - len(b.events[had].Usage))
			}
			if bad != nil {
				bad(s.index, b.body[start:end], b.faults.list[0].String())
			}
		} else {
			s.name()
		}
		s.position, s.index = end, s.index+1
	}
	return true
}

// next returns where the next event begins; false: there is none.
func (s *Splitter) next() (start int, ok bool) {
	body := s.message.Body
	i := space(body, s.position)
	if s.lines || s.index == 0 && i < len(body) && body[i] != '[' {
		return i, i < len(body)
	}
	if i == len(body) || body[i] == ']' {
		return 0, false
	}
	i = space(body, i+1) // behind the bracket, or the comma
	return i, body[i] != ']'
}

// endOfLine returns the end of the line on which an event ended. Anything behind the event on the same line is a fault.
func (s *Splitter) endOfLine(end int) int {
	b := s.bundle
	next := space(b.body, end)
	if next == len(b.body) || newline(b.body[end:next]) {
		return end
	}
	b.faults.events++
	b.faults.add(0, "", "a newline must follow an event")
	return lineEnd(b.body, next)
}

func lineEnd(body []byte, i int) int {
	if n := bytes.IndexByte(body[i:], '\n'); n >= 0 {
		return i + n
	}
	return len(body)
}

// name gives the last event of the bundle the id that Bundle.Add would have given it.
func (s *Splitter) name() {
	e := &s.bundle.events[len(s.bundle.events)-1]
	switch {
	case e.ID != "" || s.message.ID == "":
	case s.total == 1:
		e.ID = s.message.ID
	default:
		e.ID = s.message.ID + "/" + strconv.Itoa(s.index)
	}
}

// pieces keeps a text that is longer than maxRejected as several Rejected.
func (s *Splitter) pieces(first int, text []byte, kind string, why *Refusal, keep func(Rejected) error) error {
	for at := 0; ; {
		end := cut(text, at)
		err := keep(Rejected{First: first, Offset: at, Type: kind, Payload: text[at:end], Why: why})
		if at = end; err != nil || at == len(text) {
			return err
		}
	}
}

// cut returns the end of a piece that begins at i, not inside a UTF-8 character.
func cut(text []byte, i int) int {
	end := i + maxRejected
	if end >= len(text) {
		return len(text)
	}
	for back := 1; back < utf8.UTFMax && !utf8.RuneStart(text[end]); back++ {
		end--
	}
	return end
}

// rejects collects bad events, one a line, until they fill one Rejected.
type rejects struct {
	salvage *Splitter
	keep    func(Rejected) error
	payload []byte
	first   int // the index of the first event in payload
	events  int
	why     string
	err     error
}

func (r *rejects) add(index int, raw []byte, why string) {
	if len(r.payload)+len(raw)+1 > maxRejected {
		r.flush()
	}
	r.salvage.refused++
	why = fmt.Sprintf("event %d: %s", index, why)
	if len(raw)+1 > maxRejected {
		if r.err == nil {
			refusal := NewRefusal(http.StatusUnprocessableEntity, "a piece of an event that cannot be taken. It is "+why)
			r.err = r.salvage.pieces(index, raw, "", refusal, r.keep)
		}
		return
	}
	if r.events == 0 {
		r.first, r.why = index, why
	}
	r.events++
	r.payload = append(append(r.payload, raw...), '\n')
}

// flush keeps the collected events.
func (r *rejects) flush() {
	if r.events > 0 && r.err == nil {
		detail := fmt.Sprintf("%d events cannot be taken; the rest of their message is kept apart. The first is %s", r.events, r.why)
		r.err = r.keep(Rejected{
			First: r.first, Events: r.events, Type: "application/x-ndjson", Payload: r.payload, Why: NewRefusal(http.StatusUnprocessableEntity, detail),
		})
	}
	r.payload, r.events = nil, 0
}
