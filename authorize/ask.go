package authorize

import (
	"context"
	"errors"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/threescale"
)

// Question is an authrep in Go values, for a caller within the daemon. The configured credentials of the service are used.
type Question struct {
	ServiceID   string
	Application threescale.Application
	AppKey      string
	HasAppKey   bool
	Referrer    string
	Usage       threescale.Usage // each metric once
	EventID     string           // usage with the same id counts once within the dedupe window; empty: none

	// Wait bounds how long the answer may wait for the backend; then the mode decides. 0: as long as every other call.
	Wait time.Duration
}

// Answer is the decision about a Question.
type Answer struct {
	Code    string // why not, in 3scale's codes; empty: authorized
	Text    string // the reason in words; it may repeat a key of the question
	Unknown bool   // there is no decision: the backend does not answer and too little is remembered, or usage cannot be kept
	Limit   Limit
}

// Limit is the tightest limit among the metrics of a question.
type Limit struct {
	Max       int64
	Remaining int64         // how many more questions like this one fit; -1: there is no limit
	Reset     time.Duration // until the period ends, rounded up to seconds; negative: it never ends
}

// Ask decides and, with a yes, keeps the usage: when it returns, a yes is on disk. After ctx ended nothing was counted, and the
// answer is Unknown. It may be called concurrently.
func (a *Authorizer) Ask(ctx context.Context, q *Question) Answer {
	r := a.buffers.Get().(*reply)
	defer a.release(r)
	r.authrep = true
	var known bool
	if r.call.door, known = a.configured.Load().native(q.ServiceID); !known {
		return Answer{Code: threescale.CodeServiceIDInvalid, Text: "the service is not configured", Unknown: true, Limit: Limit{Remaining: -1}}
	}
	r.call.application, r.call.referrer, r.call.id = q.Application, q.Referrer, q.EventID
	r.call.appKey = optional{q.HasAppKey, q.AppKey}
	r.call.asks = len(q.Usage) > 0
	for _, u := range q.Usage {
		r.call.asked = append(r.call.asked, quota.Amount{Name: u.Metric, Value: int64(u.Value)})
	}
	if q.Wait > 0 {
		patience, cancel := context.WithTimeout(ctx, q.Wait)
		defer cancel()
		r.call.patience = patience
	}
	if err := r.call.checkNames(); err != nil {
		var names *threescale.Error
		errors.As(err, &names) // checkNames returns nothing else
		return refusal(names)
	}
	refused := a.answer(ctx, r)
	switch {
	case r.err != nil:
		return refusal(r.err)
	case r.code == codeUnavailable, refused != nil && r.code != "":
		return Answer{Code: codeUnavailable, Text: r.reason, Unknown: true, Limit: Limit{Remaining: -1}}
	}
	h := r.limitHeaders()
	l := Limit{Max: h.max, Remaining: h.remaining, Reset: -1}
	if h.reset >= 0 {
		l.Reset = time.Duration(h.reset) * time.Second
	}
	return Answer{Code: r.code, Text: r.reason, Limit: l}
}

// refusal is an answer of an error of 3scale. What it says of the daemon's own credentials or of a metric is not the caller's
// fault.
func refusal(e *threescale.Error) Answer {
	a := Answer{Code: e.Code, Text: threescale.Redact(e.Code, e.Text), Limit: Limit{Remaining: -1}}
	switch e.Code {
	case threescale.CodeMetricInvalid, threescale.CodeServiceTokenInvalid, threescale.CodeProviderKeyInvalid, threescale.CodeServiceIDInvalid,
		threescale.CodeProviderKeyInvalidOrServiceMissing:
		a.Unknown = true
	}
	return a
}

// waiting returns the context that ends what a call waits for.
func (c *call) waiting(ctx context.Context) context.Context {
	if c.patience != nil {
		return c.patience
	}
	return ctx
}
