package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/reporterd/reporterd/ingest"
	"go.uber.org/zap"
)

// Question is an HTTP call that requests on a subject ask, too: the payload is its body, in which the service
// id may be left out. The answer is the same.
type Question struct {
	Name    string // in nats micro
	Subject string // as ParseSubject takes it
	Path    string // of the call, which is a POST
	Handler http.Handler
}

// maxAsking bounds the questions that are being answered at once; who comes on top is told to come back.
const maxAsking = 1024

// ask adds the questions to the micro service.
func (b *Bus) ask(q Question) error {
	subject, err := ParseSubject(q.Subject)
	if err != nil {
		return fmt.Errorf("nats: %s: %w", q.Name, err)
	}
	err = b.service.AddEndpoint(q.Name, micro.HandlerFunc(func(r micro.Request) { b.hear(q, subject, r) }),
		micro.WithEndpointSubject(subject.pattern), micro.WithEndpointPendingLimits(-1, maxWaiting))
	if err != nil {
		return fmt.Errorf("nats: subscribe to %s: %w", subject, err)
	}
	return nil
}

// hear answers one question in a goroutine of its own, which ends with its answer, or with the bus.
func (b *Bus) hear(q Question, subject Subject, r micro.Request) {
	m := &message{subject: r.Subject(), reply: r.Reply()}
	if m.reply == "" {
		return // nobody wants to know
	}
	if !b.answerable(m.reply) {
		b.refuseReply(m)
		return
	}
	select {
	case b.asking <- struct{}{}:
	default:
		b.decline(m, busy)
		return
	}
	go func() {
		defer func() { <-b.asking }()
		body, ok := named(r.Data(), subject.service(m.subject))
		if !ok {
			b.decline(m, stranger)
			return
		}
		b.relay(q, m.reply, body)
	}()
}

// hush returns once every question has its answer, or ctx ends; no other is heard from then on.
func (b *Bus) hush(ctx context.Context) error {
	for range maxAsking {
		select {
		case b.asking <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

var stranger = ingest.Declined(http.StatusUnprocessableEntity, "service_id is not the service that the subject names")

// relay asks the HTTP handler and sends its answer on.
func (b *Bus) relay(q Question, reply string, body []byte) {
	request, err := http.NewRequestWithContext(b.life, http.MethodPost, q.Path, bytes.NewReader(body))
	if err != nil {
		b.log.Error("a question cannot be asked", zap.String("path", q.Path), zap.Error(err)) // the path is ours
		return
	}
	w := &written{header: make(http.Header), status: http.StatusOK}
	q.Handler.ServeHTTP(w, request)
	h := nats.Header{"Content-Type": {w.header.Get("Content-Type")}}
	if after := w.header.Get("Retry-After"); after != "" {
		h.Set("Retry-After", after)
	}
	if w.status != http.StatusOK {
		h.Set(micro.ErrorCodeHeader, strconv.Itoa(w.status))
		h.Set(micro.ErrorHeader, http.StatusText(w.status))
	}
	b.answer(&nats.Msg{Subject: reply, Data: w.body.Bytes(), Header: h})
}

// written is a ResponseWriter that keeps what is written.
type written struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *written) Header() http.Header         { return w.header }
func (w *written) WriteHeader(status int)      { w.status = status }
func (w *written) Write(p []byte) (int, error) { return w.body.Write(p) }

// named puts the service id into a body that has none. ok is false when it has another. A body that is no
// object stays as it is, for its handler to say so.
func named(body []byte, service string) (with []byte, ok bool) {
	var given struct {
		ServiceID *string `json:"service_id"`
	}
	start := bytes.IndexByte(body, '{')
	if start < 0 || json.Unmarshal(body, &given) != nil {
		return body, true
	}
	if given.ServiceID != nil {
		return body, *given.ServiceID == service
	}
	id, err := json.Marshal(service)
	if err != nil {
		return body, true // text can be marshalled
	}
	with = append([]byte(`{"service_id":`), id...)
	if rest := bytes.TrimLeft(body[start+1:], " \t\r\n"); rest[0] != '}' {
		with = append(with, ',')
	}
	return append(with, body[start+1:]...), true
}
