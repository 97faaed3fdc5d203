package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/event"
	ingestnats "github.com/reporterd/reporterd/ingest/nats"
	"github.com/reporterd/reporterd/threescale"
)

// What replicas ask the owner of a partition.
const (
	callAppend  = "append"
	callAsk     = "ask"
	callBury    = "bury"
	callFlush   = "flush"
	callLetters = "deadletters"
	callLetter  = "deadletter"
	callOrder   = "order"
)

const (
	// callTime bounds a call, and ownerPatience how long a partition without an owner is waited for.
	callTime      = 10 * time.Second
	ownerPatience = 2 * time.Second

	// retryOwner is when a producer may come again whose partition has no owner.
	retryOwner = time.Second

	maxQuestion = 1 << 20 // bytes of the body of an authorization in JSON
)

// appended is what came of an append elsewhere.
type appended struct {
	Duplicates []int         `json:"duplicates,omitempty"`
	Refused    string        `json:"refused,omitempty"` // nothing was kept
	Full       bool          `json:"full,omitempty"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
}

// Append implements ingest.Journal: it returns once every event is durable with the owner of its partition. A
// request for several partitions that was kept in part is an error of which nobody knows.
func (r *replica) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	parts := map[int][]int{}
	for i := range events {
		p := r.node.Load().Partition(events[i].ServiceID)
		parts[p] = append(parts[p], i)
	}
	kept := false
	for _, p := range sortedKeys(parts) {
		n, err := r.appendTo(ctx, p, events, parts[p])
		if err != nil && kept {
			return 0, fmt.Errorf("a part of the request was kept, another was not: %s", err.Error())
		}
		if err != nil {
			return 0, err
		}
		kept, duplicates = true, duplicates+n
	}
	return duplicates, nil
}

func sortedKeys[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// appendTo appends some of the events to one partition.
func (r *replica) appendTo(ctx context.Context, p int, all []event.Event, which []int) (duplicates int, err error) {
	some := all
	if len(which) < len(all) {
		some = make([]event.Event, len(which))
		for i, at := range which {
			some[i] = all[at]
		}
	}
	if own := r.pipeline(p); own != nil {
		duplicates, err = own.authorizer.Append(ctx, some)
	} else {
		duplicates, err = r.appendFar(ctx, p, some)
	}
	if len(which) < len(all) {
		for i, at := range which {
			all[at].Duplicate = some[i].Duplicate
		}
	}
	return duplicates, err
}

func (r *replica) pipeline(p int) *pipeline {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.owned[p]
}

// errUnjoined: there is no way to any owner yet.
var errUnjoined = errors.New("cluster: not joined yet")

// call has the owner of a partition do something, and waits ownerPatience for one.
func (r *replica) call(ctx context.Context, partition int, kind string, data []byte) ([]byte, error) {
	node := r.node.Load()
	if node == nil {
		return nil, errUnjoined
	}
	return node.Call(ctx, partition, kind, data, ownerPatience)
}

func (r *replica) appendFar(ctx context.Context, p int, events []event.Event) (duplicates int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := r.call(ctx, p, callAppend, cluster.AppendEvents(nil, events))
	if errors.Is(err, cluster.ErrNoOwner) {
		return 0, &event.Refused{RetryAfter: retryOwner, Err: err}
	}
	var came appended
	if err == nil {
		err = json.Unmarshal(answer, &came)
	}
	if err != nil {
		return 0, err
	}
	if came.Refused != "" {
		return 0, &event.Refused{Full: came.Full, RetryAfter: came.RetryAfter, Err: errors.New(came.Refused)}
	}
	for _, i := range came.Duplicates {
		if i < len(events) {
			events[i].Duplicate = true
		}
	}
	return len(came.Duplicates), nil
}

// answer answers another replica, or this one, for a partition that is owned here.
func (r *replica) answer(ctx context.Context, p *pipeline, kind string, data []byte) ([]byte, error) {
	switch kind {
	case callAppend:
		return answerAppend(ctx, p, data)
	case callAsk:
		return answerAsk(ctx, p, data)
	case callBury:
		var l ingestnats.Letter
		if err := json.Unmarshal(data, &l); err != nil {
			return nil, err
		}
		return nil, buried(p.spool)(l)
	case callFlush:
		return nil, p.flush(ctx)
	case callLetters:
		var q console.DeadLetterQuery
		if err := json.Unmarshal(data, &q); err != nil {
			return nil, err
		}
		page, err := p.deadLetters(ctx, q)
		return marshalled(page, err)
	case callLetter:
		return p.deadLetter(ctx, string(data))
	case callOrder:
		var o order
		if err := json.Unmarshal(data, &o); err != nil {
			return nil, err
		}
		out, err := p.ordered(r.log.Named(recordName), o.Do)(ctx, o.Order)
		return marshalled(out, err)
	}
	return nil, fmt.Errorf("call %q: unknown: do all replicas have the same version?", kind)
}

// order is what is to be done to dead letters.
type order struct {
	Do    action                  `json:"do"`
	Order console.DeadLetterOrder `json:"order"`
}

func marshalled(v any, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

func answerAppend(ctx context.Context, p *pipeline, data []byte) ([]byte, error) {
	events, err := cluster.ReadEvents(data)
	if err != nil {
		return nil, err
	}
	var came appended
	_, err = p.authorizer.Append(ctx, events)
	var refused *event.Refused
	switch {
	case errors.As(err, &refused):
		came = appended{Refused: refused.Err.Error(), Full: refused.Full, RetryAfter: refused.RetryAfter}
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

// question is an authorization on its way to its partition, and answered is its answer.
type question struct {
	Method, Target, Path string
	Header               http.Header
	Body                 []byte
}

type answered struct {
	Status int
	Header http.Header
	Body   []byte
}

// ask answers an authorization: here, where its service's partition is owned, or without what is not reported yet
// while nobody owns it.
func (r *replica) ask(w http.ResponseWriter, q *http.Request, path string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, q.Body, maxQuestion))
	q.Body = io.NopCloser(bytes.NewReader(body))
	if err != nil { // the handler says what is wrong with it
		q.Body = io.NopCloser(io.MultiReader(bytes.NewReader(body), failing{err}))
	}
	service := serviceOf(q, body)
	if !access.From(q.Context()).Serves(service) { // the owner would not know who asks
		r.spare.Handler(q.Method, path).ServeHTTP(w, q)
		return
	}
	p := r.node.Load().Partition(service)
	if own := r.pipeline(p); own != nil {
		own.authorizer.Handler(q.Method, path).ServeHTTP(w, q)
		return
	}
	header := q.Header.Clone()
	header.Del("Authorization") // it is no business of the bus's
	data, err := json.Marshal(question{Method: q.Method, Target: q.URL.RequestURI(), Path: path, Header: header, Body: body})
	var answer []byte
	if err == nil {
		ctx, cancel := context.WithTimeout(q.Context(), r.config.Authorize.Timeout)
		defer cancel()
		answer, err = r.call(ctx, p, callAsk, data)
	}
	var s answered
	if err != nil || json.Unmarshal(answer, &s) != nil {
		r.spared.Add(1)
		r.spare.Handler(q.Method, path).ServeHTTP(w, q)
		return
	}
	for name, values := range s.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(s.Status)
	_, _ = w.Write(s.Body) // an error here is the caller's connection
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// serviceOf is the service that an authorization is for, read as its handler will; empty for a provider's
// default one.
func serviceOf(q *http.Request, body []byte) string {
	if strings.HasPrefix(q.URL.Path, "/v1/") {
		var named struct {
			ServiceID string `json:"service_id"`
		}
		_ = json.Unmarshal(body, &named) // the handler says what is wrong with it
		return named.ServiceID
	}
	params, err := threescale.ReadParams(q, threescale.ReadOptions{MaxQuery: maxQuestion, Lenient: true})
	if err != nil {
		return "" // likewise
	}
	_, id, _ := threescale.ReadCredentials(params, false)
	return id
}

func answerAsk(ctx context.Context, p *pipeline, data []byte) ([]byte, error) {
	var q question
	if err := json.Unmarshal(data, &q); err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, q.Method, q.Target, bytes.NewReader(q.Body))
	if err != nil {
		return nil, err
	}
	request.Header = q.Header
	handler := p.authorizer.Handler(q.Method, q.Path)
	if handler == nil {
		return nil, fmt.Errorf("%s %s: no authorization", q.Method, q.Path)
	}
	w := &taken{header: http.Header{}, status: http.StatusOK}
	handler.ServeHTTP(w, request)
	return json.Marshal(answered{w.status, w.header, w.body.Bytes()})
}

// taken is a ResponseWriter that keeps what is written.
type taken struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (t *taken) Header() http.Header         { return t.header }
func (t *taken) WriteHeader(status int)      { t.status = status }
func (t *taken) Write(p []byte) (int, error) { return t.body.Write(p) }
