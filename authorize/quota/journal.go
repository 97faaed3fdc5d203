package quota

import (
	"context"
	"time"

	"github.com/reporterd/reporterd/event"
)

// Journal is where accepted events become durable.
type Journal interface {
	// Append returns once every event is durable, except for duplicates of events that already are. On *event.Refused nothing
	// was kept; after any other error it is unknown whether something was. The events and their strings belong to the caller
	// again when it returns, with Duplicate set where one was. It may be called concurrently.
	Append(ctx context.Context, events []event.Event) (duplicates int, err error)
}

// Append keeps events in the journal of Options, and counts them against the limits of their applications once they are
// durable. Beside a provider key, the backend's id of a service takes the place of another name of it, where that is known. All
// usage that is not reserved by Weigh or Reserve is accepted through it.
func (t *Tracker) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	for i := range events {
		if e := &events[i]; e.Credentials.ProviderKey != "" {
			e.ServiceID = t.ResolveService(ServiceName{e.ServiceID, e.Credentials}).ID
		}
	}
	t.gate.RLock()
	defer t.gate.RUnlock()
	duplicates, err = t.journal.Append(ctx, events)
	if err != nil || !t.active.Load() {
		return duplicates, err
	}
	now := time.Now().Unix()
	for i := range events {
		e := &events[i]
		if e.Duplicate {
			continue
		}
		t.book(Lane{e.ServiceID, e.Credentials, e.FlatUsage}, &e.Transaction, accept, now)
	}
	return duplicates, nil
}
