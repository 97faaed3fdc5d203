package ingest

import (
	"context"

	"github.com/reporterd/reporterd/event"
)

// Journal is where accepted events become durable.
type Journal interface {
	// Append returns once every event is durable, except for duplicates of events that already are.
	// On *event.Refused nothing was kept; *event.Partial says what was kept; on any other error that is unknown. The events and their strings
	// belong to the caller again when it returns, with Duplicate set on duplicates. It may be called concurrently.
	Append(ctx context.Context, events []event.Event) (duplicates int, err error)
}
