package replica

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/reporterd/reporterd/cluster"
	"github.com/reporterd/reporterd/event"
)

// appended is the result of an append by another replica.
type appended struct {
	Duplicates []int         `json:"duplicates,omitempty"`
	Refused    string        `json:"refused,omitempty"` // no event was accepted
	Full       bool          `json:"full,omitempty"`
	RetryAfter time.Duration `json:"retry_after,omitempty"`
	Limit      string        `json:"limit,omitempty"`
}

// Append implements ingest.Journal: it returns once every event is durable with the owner of its partition. A request for several
// partitions is refused as a whole if one of them has no owner. Partitions of other replicas come first, since they are more likely to
// refuse; once a part is kept, a refusal of the rest is retried for partTime. If that does not help, or the outcome in one partition is
// unknown, the error is *event.Partial.
func (r *Replica) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	parts := map[int][]int{}
	for i := range events {
		if e := &events[i]; e.Credentials.ProviderKey != "" {
			e.ServiceID, _ = r.fallback.ServiceID(e.ServiceID, e.Credentials)
		}
		p := r.node.Load().Partition(events[i].ServiceID)
		parts[p] = append(parts[p], i)
	}
	order := r.appendOrder(parts)
	if len(order) > 1 {
		if err := r.awaitOwners(ctx, order); err != nil {
			return 0, err
		}
	}
	var kept []int
	for _, p := range order {
		n, err := r.appendPart(ctx, p, events, parts[p], len(kept) > 0)
		if err != nil && len(order) > 1 {
			return 0, partial(kept, parts[p], err)
		}
		if err != nil {
			return 0, err
		}
		kept, duplicates = append(kept, parts[p]...), duplicates+n
	}
	return duplicates, nil
}

// appendOrder returns the partitions of a request: those of other replicas, then this replica's.
func (r *Replica) appendOrder(parts map[int][]int) []int {
	order := sortedKeys(parts)
	slices.SortStableFunc(order, func(a, b int) int {
		switch local, other := r.partition(a) != nil, r.partition(b) != nil; {
		case local == other:
			return 0
		case local:
			return 1
		}
		return -1
	})
	return order
}

// awaitOwners returns *event.Refused if a partition gets no owner within ownerTimeout.
func (r *Replica) awaitOwners(ctx context.Context, partitions []int) error {
	deadline := time.Now().Add(ownerTimeout)
	for _, p := range partitions {
		if err := r.node.Load().Await(ctx, p, time.Until(deadline)); err != nil {
			return &event.Refused{RetryAfter: retryOwner, Err: err}
		}
	}
	return nil
}

// partTime is how long the rest of a request is retried once a part of it is kept, partPause the pause in between.
const (
	partTime  = 10 * time.Second
	partPause = 250 * time.Millisecond
)

// appendPart appends the events of one partition. With persist it retries while nothing of them was kept, unless there is no room.
func (r *Replica) appendPart(ctx context.Context, p int, all []event.Event, which []int, persist bool) (duplicates int, err error) {
	for deadline := time.Now().Add(partTime); ; {
		var refused *event.Refused
		duplicates, err = r.appendTo(ctx, p, all, which)
		if !persist || !errors.As(err, &refused) || refused.Full || time.Now().After(deadline) {
			return duplicates, err
		}
		select {
		case <-time.After(partPause):
		case <-ctx.Done():
			return 0, err
		}
	}
}

// partial returns the error of a request of which some events were kept, and the next ones failed.
func partial(kept, failed []int, err error) error {
	var refused *event.Refused
	p := &event.Partial{Kept: kept, Err: err}
	switch {
	case errors.As(err, &refused) && len(kept) == 0:
		return err
	case !errors.As(err, &refused):
		p.Unknown = failed
	}
	slices.Sort(p.Kept)
	return p
}

// Admit returns why an event cannot be taken; see partition.Partition.Admit. Events of a partition that another replica owns are
// admitted there.
func (r *Replica) Admit(e *event.Event) (why string) {
	node := r.node.Load()
	if node == nil {
		return ""
	}
	if own := r.partition(node.Partition(e.ServiceID)); own != nil {
		return own.Admit(e)
	}
	return ""
}

func sortedKeys[V any](m map[int]V) []int {
	keys := make([]int, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// appendTo appends some of the events to one partition.
func (r *Replica) appendTo(ctx context.Context, p int, all []event.Event, which []int) (duplicates int, err error) {
	some := all
	if len(which) < len(all) {
		some = make([]event.Event, len(which))
		for i, at := range which {
			some[i] = all[at]
		}
	}
	if own := r.partition(p); own != nil {
		duplicates, err = own.Append(ctx, some)
	} else {
		duplicates, err = r.appendRemote(ctx, p, some)
	}
	if len(which) < len(all) {
		for i, at := range which {
			all[at].Duplicate = some[i].Duplicate
		}
	}
	return duplicates, err
}

// errNotJoined says that this replica has not joined the cluster yet.
var errNotJoined = errors.New("cluster: not joined yet")

// call calls the owner of a partition; it waits at most ownerTimeout for one.
func (r *Replica) call(ctx context.Context, partition int, kind string, data []byte) ([]byte, error) {
	node := r.node.Load()
	if node == nil {
		return nil, errNotJoined
	}
	return node.Call(ctx, partition, kind, data, ownerTimeout)
}

// read is a call that may be made twice: if the owner is gone before it answers, the next one is called.
func (r *Replica) read(ctx context.Context, partition int, kind string, data []byte) ([]byte, error) {
	node := r.node.Load()
	if node == nil {
		return nil, errNotJoined
	}
	return node.Read(ctx, partition, kind, data, ownerTimeout)
}

func (r *Replica) appendRemote(ctx context.Context, p int, events []event.Event) (duplicates int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTime)
	defer cancel()
	answer, err := r.call(ctx, p, callAppend, cluster.AppendEvents(nil, events))
	if errors.Is(err, cluster.ErrNoOwner) {
		return 0, &event.Refused{RetryAfter: retryOwner, Err: err}
	}
	var came appended
	if err == nil {
		err = json.Unmarshal(answer, &came)
	}
	if err != nil {
		return 0, err
	}
	if came.Refused != "" {
		return 0, &event.Refused{Full: came.Full, RetryAfter: came.RetryAfter, Limit: came.Limit, Err: errors.New(came.Refused)}
	}
	for _, i := range came.Duplicates {
		if i < len(events) {
			events[i].Duplicate = true
		}
	}
	return len(came.Duplicates), nil
}
