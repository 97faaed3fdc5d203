package replica

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
)

// Each partition numbers its own batches and dead letters, so their ids begin with the partition here, and so do the cursors of
// their pages.

// splitCursor splits a cursor.
func splitCursor(cursor string) (partition int, rest string, err error) {
	if partition, rest, err = splitID(cursor); err != nil || partition < 0 {
		return 0, "", fmt.Errorf("%w: %q", console.ErrCursor, cursor)
	}
	return partition, rest, nil
}

// Order requeues or drops dead letters in all partitions.
func (r *Replica) Order(ctx context.Context, do partition.Action, o console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
	out := console.DeadLetterOutcome{DryRun: o.DryRun}
	if len(o.IDs) == 0 {
		err := r.orderPage(ctx, do, o, &out)
		return out, err
	}
	parts := map[int][]string{}
	for _, id := range o.IDs {
		p, rest, err := splitID(id)
		if err != nil {
			return out, err
		}
		parts[p] = append(parts[p], rest)
	}
	for _, p := range sortedKeys(parts) {
		o.IDs = parts[p]
		if _, err := r.orderTo(ctx, p, do, o, &out); err != nil {
			return out, err
		}
	}
	return out, nil
}

// orderPage executes an order on one page of the letters that a query selects, one partition after the other.
func (r *Replica) orderPage(ctx context.Context, do partition.Action, o console.DeadLetterOrder, out *console.DeadLetterOutcome) error {
	from, limit := 0, o.Query.Limit
	if o.Query.Cursor != "" {
		var err error
		if from, o.Query.Cursor, err = splitCursor(o.Query.Cursor); err != nil {
			return err
		}
	}
	for p := from; p < r.options.Cluster.Partitions; p++ {
		met := out.Letters + len(out.Errors)
		if met >= limit {
			out.Next = strconv.Itoa(p) + "."
			return nil
		}
		o.Query.Limit = limit - met
		next, err := r.orderTo(ctx, p, do, o, out)
		if err != nil {
			return err
		}
		if next != "" {
			out.Next = strconv.Itoa(p) + "." + next
			return nil
		}
		o.Query.Cursor = ""
	}
	return nil
}

// orderTo makes a partition's owner execute an order, and adds the result to out. If the partition does not answer, that is one
// of the outcome's errors.
func (r *Replica) orderTo(ctx context.Context, p int, do partition.Action, o console.DeadLetterOrder, out *console.DeadLetterOutcome) (next string, err error) {
	data, err := json.Marshal(order{do, o})
	if err != nil {
		return "", err
	}
	answer, err := r.call(ctx, p, callOrder, data)
	var some console.DeadLetterOutcome
	if err == nil {
		err = json.Unmarshal(answer, &some)
	}
	if err != nil {
		out.Errors = append(out.Errors, fmt.Sprintf("partition %d: %v", p, err))
		return "", nil
	}
	out.Letters, out.Events = out.Letters+some.Letters, out.Events+some.Events
	for _, id := range some.IDs {
		out.IDs = append(out.IDs, strconv.Itoa(p)+"."+id)
	}
	out.Errors = append(out.Errors, some.Errors...)
	return some.Next, nil
}
