package partition

import (
	"context"

	"github.com/reporterd/reporterd/console"
)

// Flush seals what was accepted before and tries every lane at once, including held ones. It returns once each was tried, or ctx
// ends, or the partition stops, with the result of each lane that had something to deliver.
func (p *Partition) Flush(ctx context.Context) ([]console.FlushedLane, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.ending, func() { cancel(ErrStopping) })()
	upTo, err := p.batcher.Flush(ctx)
	if err != nil {
		return nil, causeOf(ctx, err)
	}
	found, err := p.sender.Flush(ctx, upTo)
	lanes := make([]console.FlushedLane, len(found))
	for i, l := range found {
		lanes[i] = console.FlushedLane{
			ServiceID: l.ServiceID, PassedOn: l.PassedOn, Result: string(l.Result), State: string(l.State),
			Batches: l.Batches, Events: l.Events, Parked: l.Parked, LastError: l.LastError,
		}
	}
	return lanes, causeOf(ctx, err)
}

// causeOf returns the cause of a context's end, if err says that it ended.
func causeOf(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
