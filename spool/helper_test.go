package spool

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// someEvents returns events of ten applications within one minute.
func someEvents(n int) []event.Event {
	events := make([]event.Event, n)
	for i := range events {
		events[i] = event.Event{ServiceID: "1001", Transaction: threescale.Transaction{
			Application: threescale.Application{ID: fmt.Sprintf("app%d", i%10)},
			Usage:       threescale.Usage{{Metric: "hits", Value: 1}, {Metric: "transfer", Value: 512}},
			Timestamp:   1764000000 + int64(i%60),
		}}
	}
	return events
}

// identified returns events with the ids named.
func identified(ids ...string) []event.Event {
	events := someEvents(len(ids))
	for i, id := range ids {
		events[i].ID = id
	}
	return events
}

// open opens a spool that is closed with the test.
func open(t *testing.T, o Options) (*Spool, *Recovery) {
	t.Helper()
	s, found, err := Open(o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s, found
}

// reopen closes a spool and opens its directory again.
func reopen(t *testing.T, s *Spool, o Options) (*Spool, *Recovery) {
	t.Helper()
	require.NoError(t, s.Close())
	return open(t, o)
}

func appendAll(t *testing.T, s *Spool, events []event.Event) (duplicates int) {
	t.Helper()
	duplicates, err := s.Append(context.Background(), events)
	require.NoError(t, err)
	return duplicates
}

// pending reads everything behind the last cut.
func pending(t *testing.T, s *Spool) (events []event.Event, last Position) {
	t.Helper()
	tail := s.Tail()
	defer func() { require.NoError(t, tail.Close()) }()
	last = s.Committed()
	for {
		found, err := tail.step()
		require.NoError(t, err)
		if !found {
			return events, last
		}
		for e := range tail.group.Events {
			events = append(events, own(*e))
		}
		last = tail.group.Last
	}
}

// own copies an event out of its group.
func own(e event.Event) event.Event {
	usage := make(threescale.Usage, len(e.Usage))
	for i, u := range e.Usage {
		usage[i] = threescale.Increment{Metric: string([]byte(u.Metric)), Value: u.Value}
	}
	e.Usage = usage
	e.ServiceID = string([]byte(e.ServiceID))
	e.Application.ID, e.Application.UserKey = string([]byte(e.Application.ID)), string([]byte(e.Application.UserKey))
	e.Credentials.ServiceToken = string([]byte(e.Credentials.ServiceToken))
	e.Credentials.ProviderKey = string([]byte(e.Credentials.ProviderKey))
	return e
}

// cutAll seals everything that is pending into one batch a service, a transaction an event.
func cutAll(t *testing.T, s *Spool) []BatchID {
	t.Helper()
	ids, err := tryCut(t, s)
	require.NoError(t, err)
	return ids
}

func tryCut(t *testing.T, s *Spool) (ids []BatchID, err error) {
	t.Helper()
	events, last := pending(t, s)
	if len(events) == 0 {
		return nil, nil
	}
	cut, err := s.BeginCut(last)
	if err != nil {
		return nil, err
	}
	defer func() { assert.NoError(t, cut.Abort()) }()
	for _, b := range batchesOf(events) {
		if err := cut.Add(b); err != nil {
			return nil, err
		}
		ids = append(ids, b.ID)
	}
	return ids, cut.Commit(0)
}

// batchesOf makes a batch of each service's events, in order of appearance.
func batchesOf(events []event.Event) []*Batch {
	var batches []*Batch
	at := map[LaneKey]*Batch{}
	for _, e := range events {
		key := LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}
		b := at[key]
		if b == nil {
			b = &Batch{Lane: key, OldestAccepted: time.Now()}
			at[key] = b
			batches = append(batches, b)
		}
		b.Transactions = append(b.Transactions, Transaction{Transaction: e.Transaction, Events: 1})
	}
	return batches
}

// deliver resolves every live batch as delivered.
func deliver(t *testing.T, s *Spool) {
	t.Helper()
	for _, info := range s.Batches() {
		require.NoError(t, s.Resolve(info.ID, delivered(info)))
	}
}

// delivered is the resolution of a report that was taken.
func delivered(info BatchInfo) (r Resolution) {
	for i := range info.Transactions {
		r.Delivered = append(r.Delivered, i)
	}
	return r
}

// checkLaw asserts that every accepted event is somewhere, and that nothing but the given number is lost.
func checkLaw(t *testing.T, s *Spool, lost uint64) Counts {
	t.Helper()
	c := s.Counts()
	assert.Equal(t, c.Accepted, c.Delivered+c.Dead+c.Pending+c.Lost, "%+v", c)
	assert.Equal(t, lost, c.Lost, "%+v", c)
	events, _ := pending(t, s)
	live := uint64(len(events))
	for _, info := range s.Batches() {
		live += info.Events
	}
	assert.Equal(t, live, c.Pending, "%+v", c)
	return c
}
