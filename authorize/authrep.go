package authorize

import (
	"context"
	"errors"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// answer decides a call that was read, and keeps the usage of an authrep: when it returns, a yes is on
// disk. The refusal is not nil when the usage could not be kept; the answer in r is what the mode says then.
func (a *Authorizer) answer(ctx context.Context, r *reply) (refused *event.Refused) {
	a.quota.Follow()
	r.key = a.digest(&r.call)
	if !a.quota.Loaded() && !a.quota.Wait(r.call.waiting(ctx)) { // what is granted already is not known: denied, or what the mode allows
		r.finding = finding{source: FromMode, now: time.Now()}
		if ctx.Err() != nil {
			r.deny(codeUnavailable, reasonUnavailable)
		} else {
			a.decide(r)
		}
		return a.conclude(ctx, r)
	}
	for range maxLooks {
		r.finding = a.look(ctx, &r.call)
		if ctx.Err() != nil { // the caller has gone: nothing is counted for it
			r.finding = finding{source: FromMode, now: time.Now()}
			r.deny(codeUnavailable, reasonUnavailable)
			break
		}
		if a.decide(r) {
			break
		}
		a.good.drop(r.key)
	}
	return a.conclude(ctx, r)
}

// conclude keeps the usage of a decision that is made, and counts it.
func (a *Authorizer) conclude(ctx context.Context, r *reply) (refused *event.Refused) {
	if len(r.weighing.Usage) > 0 {
		refused = a.keep(ctx, r)
	}
	a.count(r)
	if r.entry != nil && r.code == threescale.CodeLimitsExceeded && r.entry.age(r.now) >= a.options.DenyTTL {
		a.refresh(&r.call, r.entry)
	}
	return refused
}

// keep makes the usage of an authrep durable. If the journal refuses it, the usage is withdrawn and the answer is no; in mode
// allow it is yes, unbilled, and counted in a metric. If it is unknown whether the journal kept it, the usage stays counted.
func (a *Authorizer) keep(ctx context.Context, r *reply) *event.Refused {
	r.events[0] = event.Event{
		ID:        r.call.id,
		ServiceID: a.quota.ResolveService(quota.ServiceName{ID: r.door.serviceID, Credentials: r.door.passed}).ID, Credentials: r.door.passed, FlatUsage: r.options.FlatUsage,
		Transaction: threescale.Transaction{
			Application: r.application, Usage: r.weighing.Usage, Timestamp: r.now.Unix(), Code: r.call.code,
		},
	}
	if ctx.Done() != nil {
		ctx = context.WithoutCancel(ctx)
	}
	_, err := a.options.Journal.Append(ctx, r.events[:])
	if err == nil && r.events[0].Duplicate && r.booked != nil { // the same question was asked before, and its usage counts already
		r.booked.Withdraw(r.weighing.Usage, r.options.FlatUsage, r.now.Unix())
	}
	if err == nil {
		a.counters.reported.Add(1)
		a.outage.ended()
		return nil
	}
	a.outage.began(err)
	a.counters.refused.Add(1)
	refused := &event.Refused{RetryAfter: 5 * time.Second, Err: err}
	if errors.As(err, &refused) && r.booked != nil {
		r.booked.Withdraw(r.weighing.Usage, r.options.FlatUsage, r.now.Unix())
	}
	if a.options.Mode == Allow {
		a.counters.unbilled.Add(1)
		return nil
	}
	r.deny(codeUnavailable, reasonJournal)
	for i := range r.weighing.Reports {
		r.weighing.Reports[i].Shown = r.weighing.Reports[i].Current
	}
	return refused
}

// count adds an answer to the figures.
func (a *Authorizer) count(r *reply) {
	c := &a.counters
	c.answers[r.source].Add(1)
	if r.entry != nil && r.source != FromBackend {
		raise(&c.oldest, int64(r.entry.age(r.now)))
	}
	switch {
	case r.err != nil:
		c.deny(r.err.Code)
	case r.code != "":
		c.deny(r.code)
	default:
		c.granted.Add(1)
	}
	if over := r.exceeded(); over > 0 {
		raise(&c.overshot, over)
	}
}
