package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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

// Append implements ingest.Journal: it returns once every event is durable with the owner of its partition. If a request for
// several partitions was accepted in part, it returns an error; which part was accepted is unknown.
func (r *Replica) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	parts := map[int][]int{}
	for i := range events {
		if e := &events[i]; e.Credentials.ProviderKey != "" {
			e.ServiceID, _ = r.fallback.ServiceID(e.ServiceID, e.Credentials)
		}
		p := r.node.Load().Partition(events[i].ServiceID)
		parts[p] = append(parts[p], i)
	}
	kept := false
	for _, p := range sortedKeys(parts) {
		n, err := r.appendTo(ctx, p, events, parts[p])
		if err != nil && kept {
			return 0, fmt.Errorf("a part of the request was accepted, another part was not: %s", err.Error())
		}
		if err != nil {
			return 0, err
		}
		kept, duplicates = true, duplicates+n
	}
	return duplicates, nil
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
