package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/internal/respond"
)

// The kinds of calls to the owner of a partition.
const (
	callAppend  = "append"
	callAsk     = "ask"
	callReject  = "bury"
	callFlush   = "flush"
	callLetters = "deadletters"
	callLetter  = "deadletter"
	callOrder   = "order"
	callLedger  = "ledger"
	callFigures = "figures"
	callLed     = "led"
	callDoubt   = "doubt"
	callParked  = "parked"
)

const (
	// callTime limits a call, and ownerTimeout how long a call waits for an owner.
	callTime     = 10 * time.Second
	ownerTimeout = 2 * time.Second

	// retryOwner is when a producer should retry if its partition has no owner.
	retryOwner = time.Second

	maxQuestion = 1 << 20 // bytes of the body of an authorization in JSON
)

// answer answers a call from a replica, which may be this one, to the owner of a partition.
func (r *Replica) answer(ctx context.Context, p *partition.Partition, kind string, data []byte) ([]byte, error) {
	switch kind {
	case callLed:
		return r.answerLed(ctx, data)
	case callParked:
		return answerParked(ctx, p, data)
	case callDoubt:
		return nil, answerDoubt(p, data)
	case callFigures:
		return r.figuresOf(p, data)
	case callAppend:
		return answerAppend(ctx, p, data)
	case callAsk:
		return answerAsk(ctx, p, data)
	case callReject:
		var m partition.Message
		if err := json.Unmarshal(data, &m); err != nil {
			return nil, err
		}
		return nil, p.Reject(m)
	case callFlush:
		lanes, err := p.Flush(ctx)
		return marshalled(lanes, err)
	case callLetters:
		var q console.DeadLetterQuery
		if err := json.Unmarshal(data, &q); err != nil {
			return nil, err
		}
		page, err := p.DeadLetters(ctx, q)
		return marshalled(page, err)
	case callLetter:
		return p.DeadLetter(ctx, string(data))
	case callLedger:
		return p.AnswerLedger(data)
	case callOrder:
		var o order
		if err := json.Unmarshal(data, &o); err != nil {
			return nil, err
		}
		out, err := p.Order(ctx, o.Do, o.Order)
		return marshalled(out, err)
	}
	return nil, fmt.Errorf("call %q: unknown kind: do all replicas have the same version?", kind)
}

// askLedger puts a question to the ledger of a partition's owner, and to that of the next owner if it is gone before it answers.
func (r *Replica) askLedger(ctx context.Context, partition int, question []byte) ([]byte, error) {
	return r.read(ctx, partition, callLedger, question)
}

// order is an order for dead letters.
type order struct {
	Do    partition.Action        `json:"do"`
	Order console.DeadLetterOrder `json:"order"`
}

func marshalled(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func answerAppend(ctx context.Context, p *partition.Partition, data []byte) ([]byte, error) {
	events, err := cluster.ReadEvents(data)
	if err != nil {
		return nil, err
	}
	var came appended
	for i := range events {
		if why := p.Admit(&events[i]); why != "" {
			return json.Marshal(appended{Refused: "the usage " + why, Full: true, RetryAfter: retryOwner})
		}
	}
	_, err = p.Append(ctx, events)
	var refused *event.Refused
	switch {
	case errors.As(err, &refused):
		came = appended{Refused: refused.Err.Error(), Full: refused.Full, RetryAfter: refused.RetryAfter, Limit: refused.Limit}
	case err != nil:
		return nil, err
	}
	for i := range events {
		if events[i].Duplicate {
			came.Duplicates = append(came.Duplicates, i)
		}
	}
	return json.Marshal(came)
}

func answerAsk(ctx context.Context, p *partition.Partition, data []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, q.Method, q.Target, bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	request.Header = q.Header
	handler := p.Authorizations(q.Method, q.Path)
	if handler == nil {
		return nil, fmt.Errorf("%s %s: not an authorization", q.Method, q.Path)
	}
	w := respond.NewRecorder()
	handler.ServeHTTP(w, request)
	return json.Marshal(answered{w.Status, w.Header(), w.Body.Bytes()})
}
