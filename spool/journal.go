package spool

import (
	"context"

	"github.com/reporterd/reporterd/event"
)

// Append keeps events: it returns once every one that is not a duplicate is durable, in one frame with
// its id. duplicates counts those whose id was kept before, or stands earlier in events. On an
// *event.Refused nothing was kept; on another error (the context ended while waiting) they may have been.
// Neither events nor their strings are retained.
func (s *Spool) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	return 0, nil
}
