package nats

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/micro"
	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/internal/respond"
	"go.uber.org/zap"
)

// Question is an HTTP call that a request on a subject makes: the payload is its body, in which service_id may be left out.
// The answer is that of the call.
type Question struct {
	Name    string // in nats micro
	Subject string // as ParseSubject takes it
	Path    string // of the call, which is a POST
	Handler http.Handler
}

// maxQuestions bounds the questions that are being answered at once. A question above it is answered with 503.
const maxQuestions = 1024

// addQuestion adds an endpoint for q to the micro service.
func (b *Bridge) addQuestion(q Question) error {
	subject, err := ParseSubject(q.Subject)
	if err != nil {
		return fmt.Errorf("nats: %s: %w", q.Name, err)
	}
	err = b.service.addEndpoint(q.Name, subject.pattern, func(e *endpoint, r *nats.Msg) { b.handleQuestion(q, subject, e, r) })
	if err != nil {
		return fmt.Errorf("nats: subscribe to %s: %w", subject, err)
	}
	return nil
}

// handleQuestion answers one question in a goroutine of its own, which ends with the answer; Stop waits for it.
func (b *Bridge) handleQuestion(q Question, subject Subject, e *endpoint, r *nats.Msg) {
	m := &message{subject: r.Subject, reply: r.Reply, endpoint: e, arrived: time.Now()}
	if m.reply == "" {
		return // there is no reply subject to send the answer to
	}
	if !b.answerable(m.reply) {
		b.refuseReply(m)
		return
	}
	if err := b.authorize(m, r.Header); err != nil {
		b.replyError(m, ingest.NewRefusal(http.StatusUnauthorized, err.Error()))
		return
	}
	select {
	case b.questionSlots <- struct{}{}:
	default:
		b.replyError(m, busy)
		return
	}
	go func() {
		defer func() { <-b.questionSlots }()
		body, ok := withServiceID(r.Data, subject.service(m.subject))
		if !ok {
			b.replyError(m, wrongService)
			return
		}
		b.callHandler(q, m, body)
	}()
}

// drainQuestions returns once every question was answered, or ctx ends. Later questions are refused.
func (b *Bridge) drainQuestions(ctx context.Context) error {
	for range maxQuestions {
		select {
		case b.questionSlots <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

var wrongService = ingest.NewRefusal(http.StatusUnprocessableEntity, "service_id is not the service that the subject names")

// callHandler makes the HTTP call and publishes its answer.
func (b *Bridge) callHandler(q Question, m *message, body []byte) {
	ctx := b.ctx
	if m.Grant != nil {
		ctx = access.With(ctx, m.Grant)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, q.Path, bytes.NewReader(body))
	if err != nil {
		b.log.Error("a question cannot be asked", zap.String("path", q.Path), zap.Error(err)) // never: the path is a constant
		return
	}
	w := respond.NewRecorder()
	q.Handler.ServeHTTP(w, request)
	h := nats.Header{"Content-Type": {w.Header().Get("Content-Type")}}
	if after := w.Header().Get("Retry-After"); after != "" {
		h.Set("Retry-After", after)
	}
	if w.Status != http.StatusOK {
		h.Set(micro.ErrorCodeHeader, strconv.Itoa(w.Status))
		h.Set(micro.ErrorHeader, http.StatusText(w.Status))
		m.endpoint.failed(w.Status, http.StatusText(w.Status))
	}
	m.endpoint.answered(m.arrived)
	b.reply(&nats.Msg{Subject: m.reply, Data: w.Body.Bytes(), Header: h})
}

// withServiceID puts the service id into a body that has none. ok is false when the body has another one. A body that is no
// JSON object is returned as it is; the handler refuses it.
func withServiceID(body []byte, service string) (with []byte, ok bool) {
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
		return body, true // never: a string can be marshalled
	}
	with = append([]byte(`{"service_id":`), id...)
	if rest := bytes.TrimLeft(body[start+1:], " \t\r\n"); rest[0] != '}' {
		with = append(with, ',')
	}
	return append(with, body[start+1:]...), true
}
