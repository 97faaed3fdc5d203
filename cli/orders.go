package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// action is what an order does with dead letters.
type action string

const (
	requeue action = "requeue"
	drop    action = "drop"
)

// carryOut does what an order says, and returns the letters it did it to, as they were, but with the time that
// they are sent with now. Their ids are in the outcome, too.
func carryOut(s *spool.Spool, do action, o console.DeadLetterOrder) (out console.DeadLetterOutcome, done []spool.DeadLetter, err error) {
	out.DryRun = o.DryRun
	ids := o.IDs
	if len(ids) == 0 {
		page, next, err := s.DeadLetters(queryOf(o.Query))
		if err != nil {
			return out, nil, err
		}
		for i := range page {
			ids = append(ids, page[i].ID)
		}
		out.Next = next
	}
	done, failures := act(s, do, ids, o)
	for _, d := range done {
		out.IDs = append(out.IDs, d.ID)
		out.Letters++
		out.Events += d.Events
	}
	out.Errors = sentences(failures)
	return out, done, nil
}

// act does it to the letters named.
func act(s *spool.Spool, do action, ids []string, o console.DeadLetterOrder) (done []spool.DeadLetter, err error) {
	switch {
	case o.DryRun:
		for _, id := range ids {
			d, failure := s.DeadLetter(id)
			if failure != nil {
				err = errors.Join(err, failure)
				continue
			}
			done = append(done, d)
		}
		return done, err
	case do == drop:
		return s.Drop(ids)
	}
	restamp := time.Time{}
	if o.Restamp {
		restamp = time.Now()
	}
	requeued, err := s.Requeue(ids, restamp)
	for i := range requeued {
		d := requeued[i].Letter
		if o.Restamp {
			d.Timestamp = restamp
		}
		done = append(done, d)
	}
	return done, err
}

// revived is the usage of requeued letters. Their credentials are in their files alone; an application of a
// service that has an id is found without.
func revived(letters []spool.DeadLetter) (all []authorize.Usage) {
	for i := range letters {
		d := &letters[i]
		t := threescale.Transaction{
			Application: threescale.Application{ID: d.AppID, UserKey: d.UserKey}, Timestamp: d.Timestamp.Unix(),
		}
		for metric, value := range d.Usage {
			t.Usage = append(t.Usage, threescale.Increment{Metric: metric, Value: value})
		}
		all = append(all, authorize.Usage{Lane: authorize.Lane{ServiceID: d.ServiceID, FlatUsage: d.FlatUsage}, Transaction: &t})
	}
	return all
}

// sentences takes joined errors apart.
func sentences(err error) []string {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range many.Unwrap() {
		all = append(all, sentences(e)...)
	}
	return all
}

func queryOf(q console.DeadLetterQuery) spool.DeadLetterQuery {
	return spool.DeadLetterQuery{
		ServiceID: q.ServiceID, Reason: q.Reason, Since: q.Since, Until: q.Until, Limit: q.Limit, Cursor: q.Cursor,
	}
}

// deadLetters lists as the console asks, without user keys.
func (p *pipeline) deadLetters(_ context.Context, q console.DeadLetterQuery) (console.DeadLetters, error) {
	letters, next, err := p.spool.DeadLetters(queryOf(q))
	page := console.DeadLetters{Next: next}
	for i := range letters {
		text, err := json.Marshal(letters[i].Redacted())
		if err != nil {
			return page, fmt.Errorf("dead letter %s: %w", letters[i].ID, err)
		}
		page.Letters = append(page.Letters, text)
	}
	return page, err
}

// deadLetter is one of them.
func (p *pipeline) deadLetter(_ context.Context, id string) (json.RawMessage, error) {
	d, err := p.spool.DeadLetter(id)
	if errors.Is(err, spool.ErrUnknownLetter) {
		return nil, fmt.Errorf("dead letter %q: %w", id, console.ErrNoDeadLetter)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(d.Redacted())
}

// ordered returns the console's way to do something to dead letters. What was done is in the log, a line a
// letter: nothing else remembers that there was one.
func (p *pipeline) ordered(log *zap.Logger, do action) func(context.Context, console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
	word := map[action]string{requeue: "dead letter requeued", drop: "dead letter dropped"}[do]
	return func(_ context.Context, o console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
		var out console.DeadLetterOutcome
		var done []spool.DeadLetter
		var err error
		p.authorizer.Requeue(func() []authorize.Usage {
			out, done, err = carryOut(p.spool, do, o)
			if do != requeue || o.DryRun {
				return nil
			}
			return revived(done)
		})
		for i := range done {
			if d := &done[i]; !o.DryRun {
				log.Info(word, zap.String("id", d.ID), zap.String("service_id", d.ServiceID), zap.String("app_id", d.AppID),
					zap.String("reason", d.Reason.Code), zap.Uint64("events", d.Events), zap.Time("created_at", d.CreatedAt))
			}
		}
		return out, err
	}
}
