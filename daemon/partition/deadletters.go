package partition

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize/quota"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Action is what an order does to dead letters.
type Action string

// The actions.
const (
	Requeue Action = "requeue"
	Drop    Action = "drop"
)

// DeadLetterLogger is the name of the logger of changes to dead letters, a line each: they are recorded nowhere else.
const DeadLetterLogger = "deadletter"

// deadLetterOperations list dead letters, and requeue or drop them.
type deadLetterOperations struct {
	log   *zap.Logger
	spool *spool.Spool
	quota *quota.Tracker

	nameOf func(spool.LaneKey, threescale.Application) string // shown in place of a user key
}

// ApplyOrder executes an order, and returns once that is durable. done are the changed letters as they were, but with the
// timestamp with which they are sent; their ids are in the outcome as well.
func ApplyOrder(s *spool.Spool, do Action, o console.DeadLetterOrder) (out console.DeadLetterOutcome, done []spool.Requeued, err error) {
	out.DryRun = o.DryRun
	ids := o.IDs
	if len(ids) == 0 {
		page, next, err := s.DeadLetters(QueryOf(o.Query))
		if err != nil {
			return out, nil, err
		}
		for i := range page {
			ids = append(ids, page[i].ID)
		}
		out.Next = next
	}
	done, failures := applyTo(s, do, ids, o)
	for i := range done {
		out.IDs = append(out.IDs, done[i].Letter.ID)
		out.Letters++
		out.Events += done[i].Letter.Events
	}
	out.Errors = splitErrors(failures)
	return out, done, nil
}

// applyTo executes the action on the named letters.
func applyTo(s *spool.Spool, do Action, ids []string, o console.DeadLetterOrder) (done []spool.Requeued, err error) {
	switch {
	case o.DryRun:
		for _, id := range ids {
			d, failure := s.DeadLetter(id)
			if failure != nil {
				err = errors.Join(err, failure)
				continue
			}
			done = append(done, spool.Requeued{Letter: d})
		}
		return done, err
	case do == Drop:
		dropped, err := s.Drop(ids)
		for i := range dropped {
			done = append(done, spool.Requeued{Letter: dropped[i]})
		}
		return done, err
	}
	restamp := time.Time{}
	if o.Restamp {
		restamp = time.Now()
	}
	done, err = s.Requeue(ids, restamp)
	for i := range done {
		if o.Restamp {
			done[i].Letter.Timestamp = restamp
		}
	}
	return done, err
}

// requeuedUsage returns the usage of requeued letters.
func requeuedUsage(letters []spool.Requeued) (all []quota.Usage) {
	for i := range letters {
		d, lane := &letters[i].Letter, letters[i].Lane
		t := threescale.Transaction{
			Application: threescale.Application{ID: d.AppID, UserKey: d.UserKey}, Timestamp: d.Timestamp.Unix(),
		}
		for metric, value := range d.Usage {
			t.Usage = append(t.Usage, threescale.Increment{Metric: metric, Value: value})
		}
		all = append(all, quota.Usage{Lane: quota.Lane{ServiceID: lane.ServiceID, Credentials: lane.Credentials, FlatUsage: d.FlatUsage}, Transaction: &t})
	}
	return all
}

// splitErrors splits joined errors.
func splitErrors(err error) []string {
	if err == nil {
		return nil
	}
	var many interface{ Unwrap() []error }
	if !errors.As(err, &many) {
		return []string{err.Error()}
	}
	var all []string
	for _, e := range many.Unwrap() {
		all = append(all, splitErrors(e)...)
	}
	return all
}

// QueryOf converts a query of the console to one of the spool.
func QueryOf(q console.DeadLetterQuery) spool.DeadLetterQuery {
	return spool.DeadLetterQuery{
		ServiceID: q.ServiceID, Reason: q.Reason, Since: q.Since, Until: q.Until, Limit: q.Limit, Cursor: q.Cursor,
	}
}

// show returns a letter as it is shown: without a user key. The application of one is named by its id, if that is known.
func (d *deadLetterOperations) show(letter *spool.DeadLetter) spool.DeadLetter {
	shown := letter.Redacted()
	if letter.UserKey != "" {
		name := d.nameOf(spool.LaneKey{ServiceID: letter.ServiceID}, threescale.Application{UserKey: letter.UserKey})
		if !ledger.IsUserKey(name) {
			shown.AppID = name
		}
	}
	return shown
}

// list returns the letters that the console's query selects, without user keys.
func (d *deadLetterOperations) list(q console.DeadLetterQuery) (console.DeadLetters, error) {
	letters, next, err := d.spool.DeadLetters(QueryOf(q))
	page := console.DeadLetters{Next: next}
	for i := range letters {
		text, err := json.Marshal(d.show(&letters[i]))
		if err != nil {
			return page, fmt.Errorf("dead letter %s: %w", letters[i].ID, err)
		}
		page.Letters = append(page.Letters, text)
	}
	return page, err
}

// one returns one letter, without a user key.
func (d *deadLetterOperations) one(id string) (json.RawMessage, error) {
	letter, err := d.spool.DeadLetter(id)
	if errors.Is(err, spool.ErrUnknownLetter) {
		return nil, fmt.Errorf("dead letter %q: %w", id, console.ErrNoDeadLetter)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(d.show(&letter))
}

// apply executes an order, logs a line for each letter, and makes requeued usage count against limits again.
func (d *deadLetterOperations) apply(do Action, o console.DeadLetterOrder) (out console.DeadLetterOutcome, err error) {
	var done []spool.Requeued
	d.quota.Requeue(func() []quota.Usage {
		out, done, err = ApplyOrder(d.spool, do, o)
		if do != Requeue || o.DryRun {
			return nil
		}
		return requeuedUsage(done)
	})
	if o.DryRun {
		return out, err
	}
	line := map[Action]string{Requeue: "dead letter requeued", Drop: "dead letter dropped"}[do]
	for i := range done {
		letter := &done[i].Letter
		d.log.Info(line, zap.String("id", letter.ID), zap.String("service_id", letter.ServiceID), zap.String("app_id", d.show(letter).AppID),
			zap.String("reason", letter.Reason.Code), zap.Uint64("events", letter.Events), zap.Time("created_at", letter.CreatedAt))
	}
	return out, err
}

// DeadLetters returns the dead letters that a query selects, without user keys.
func (p *Partition) DeadLetters(_ context.Context, q console.DeadLetterQuery) (console.DeadLetters, error) {
	return p.letters.list(q)
}

// DeadLetter returns one dead letter; console.ErrNoDeadLetter if the id is unknown.
func (p *Partition) DeadLetter(_ context.Context, id string) (json.RawMessage, error) {
	return p.letters.one(id)
}

// Order requeues or drops dead letters. It returns once that is durable.
func (p *Partition) Order(_ context.Context, do Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
	return p.letters.apply(do, o)
}
