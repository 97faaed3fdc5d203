package authorize

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/event"
)

// Journal is where accepted events become durable.
type Journal interface {
	// Append returns once every event is durable, except for duplicates of events that already are.
	// On *event.Refused nothing was kept; on any other error nobody knows. The events and their strings
	// belong to the caller again when it returns, with Duplicate set where one was. It may be called concurrently.
	Append(ctx context.Context, events []event.Event) (duplicates int, err error)
}

// Append keeps events in the journal of Options, and counts them against the limits of their
// applications once they are kept: it is the Journal to give to everybody else who takes usage in.
func (a *Authorizer) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	a.ledger.gate.RLock()
	defer a.ledger.gate.RUnlock()
	duplicates, err = a.options.Journal.Append(ctx, events)
	if err != nil || !a.ledger.active.Load() {
		return duplicates, err
	}
	now := time.Now().Unix()
	for i := range events {
		e := &events[i]
		if e.Duplicate {
			continue
		}
		a.book(Lane{e.ServiceID, e.Credentials, e.FlatUsage}, &e.Transaction, accept, now)
	}
	return duplicates, nil
}

// trouble says once when the journal refuses the usage of authreps, and once when that is over.
type trouble struct {
	log *zap.Logger

	mu      sync.Mutex // guards what follows
	since   time.Time  // of the first refusal; zero: there is no trouble
	refused int
}

func (t *trouble) began(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.refused++
	if !t.since.IsZero() {
		return
	}
	t.since = time.Now()
	t.log.Error("usage of authrep calls cannot be kept: they are answered as authorize.mode says", zap.Error(err))
}

func (t *trouble) ended() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.since.IsZero() {
		return
	}
	t.log.Info("usage of authrep calls is kept again", zap.Duration("after", time.Since(t.since)), zap.Int("calls", t.refused))
	t.since, t.refused = time.Time{}, 0
}
