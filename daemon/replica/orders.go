package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// ownedPartitions returns the partitions that this replica owns, in order.
func (r *Replica) ownedPartitions() []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return sortedKeys(r.owned)
}

// Parked returns the reports with an unknown outcome in this replica's partitions.
func (r *Replica) Parked(ctx context.Context, cursor string, limit int) ([]console.Parked, error) {
	from, rest := 0, ""
	if cursor != "" {
		var err error
		if from, rest, err = splitCursor(cursor); err != nil {
			return nil, err
		}
	}
	var all []console.Parked
	for _, n := range r.ownedPartitions() {
		p := r.partition(n)
		if n < from || p == nil || len(all) == limit {
			continue
		}
		behind := ""
		if n == from {
			behind = rest
		}
		some, err := p.Parked(ctx, behind, limit-len(all))
		if err != nil {
			return nil, err
		}
		for i := range some {
			some[i].ID = strconv.Itoa(n) + "." + some[i].ID
		}
		all = slices.Concat(all, some)
	}
	return all, nil
}

// ParkedReport returns one of them, by its id in the list.
func (r *Replica) ParkedReport(ctx context.Context, id string) (console.Parked, error) {
	p, rest, n, err := r.holderOf(id)
	if err != nil {
		return console.Parked{}, err
	}
	report, err := p.ParkedReport(ctx, rest)
	report.ID = strconv.Itoa(n) + "." + report.ID
	return report, err
}

// holderOf returns this replica's partition in a parked report's id, and the report's id in the partition.
func (r *Replica) holderOf(id string) (p *partition.Partition, rest string, n int, err error) {
	n, rest, err = splitID(id)
	if err != nil {
		return nil, "", 0, errors.Join(console.ErrNotParked, errors.New("expected an id from the list, which begins with its partition"))
	}
	if p = r.partition(n); p == nil {
		return nil, "", 0, fmt.Errorf("%w here: another replica has partition %d", console.ErrNotParked, n)
	}
	return p, rest, n, nil
}

// Settle decides about one of them.
func (r *Replica) Settle(ctx context.Context, id, fate string) error {
	p, rest, _, err := r.holderOf(id)
	if err != nil {
		return err
	}
	return p.Settle(ctx, rest, fate)
}
