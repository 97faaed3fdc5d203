package ingest

import (
	"context"

	"github.com/reporterd/reporterd/event"
)

// Journal is where accepted events become durable.
type Journal interface {
	// Append returns once every event is durable, except for duplicates of events that already are.
	// On *event.Refused nothing was kept; on any other error nobody knows. The events and their strings
	// belong to the caller again when it returns, with Duplicate set where one was. It may be called concurrently.
	Append(ctx context.Context, events []event.Event) (duplicates int, err error)
}
