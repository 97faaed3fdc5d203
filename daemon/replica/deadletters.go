package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
)

// Reject stores a message that can never be accepted as a dead letter of its service's partition. It returns once the letter is
// durable.
func (r *Replica) Reject(m partition.Message) error {
	node := r.node.Load()
	if node == nil {
		return errNotJoined
	}
	data, err := json.Marshal(m)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		_, err = r.call(ctx, node.Partition(m.ServiceID), callReject, data)
	}
	return err
}

// callAll calls the owner of each partition.
func (r *Replica) callAll(ctx context.Context, kind string, data []byte, take func(partition int, answer []byte) error) error {
	var all []error
	for p := range r.options.Cluster.Partitions {
		answer, err := r.call(ctx, p, kind, data)
		if err == nil {
			err = take(p, answer)
		}
		if err != nil {
			all = append(all, fmt.Errorf("partition %d: %w", p, err))
		}
	}
	return errors.Join(all...)
}

// Flush flushes every partition. lanes are those of the partitions that answered.
func (r *Replica) Flush(ctx context.Context) (lanes []console.FlushedLane, err error) {
	err = r.callAll(ctx, callFlush, nil, func(_ int, answer []byte) error {
		if len(answer) == 0 {
			return nil // from an earlier version
		}
		var some []console.FlushedLane
		err := json.Unmarshal(answer, &some)
		lanes = append(lanes, some...)
		return err
	})
	return lanes, err
}

// The ids of dead letters begin with the partition here, since each partition numbers its own.

// DeadLetters returns the dead letters of every partition that a query selects.
func (r *Replica) DeadLetters(ctx context.Context, q console.DeadLetterQuery) (console.DeadLetters, error) {
	var page console.DeadLetters
	from, cursor := 0, ""
	if q.Cursor != "" {
		var err error
		if from, cursor, err = splitCursor(q.Cursor); err != nil {
			return page, err
		}
	}
	for p := from; p < r.options.Cluster.Partitions; p++ {
		part := q
		part.Cursor, part.Limit = cursor, q.Limit-len(page.Letters)
		cursor = ""
		data, err := json.Marshal(part)
		if err != nil {
			return page, err
		}
		answer, err := r.call(ctx, p, callLetters, data)
		if err != nil {
			return page, err
		}
		var some console.DeadLetters
		if err := json.Unmarshal(answer, &some); err != nil {
			return page, err
		}
		for _, l := range some.Letters {
			named, err := withPartition(l, p)
			if err != nil {
				return page, err
			}
			page.Letters = append(page.Letters, named)
		}
		switch {
		case some.Next != "":
			page.Next = strconv.Itoa(p) + "." + some.Next
			return page, nil
		case len(page.Letters) >= q.Limit && p+1 < r.options.Cluster.Partitions:
			page.Next = strconv.Itoa(p+1) + "."
			return page, nil
		}
	}
	return page, nil
}

// withPartition adds the partition to a letter's id.
func withPartition(letter json.RawMessage, partition int) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(letter, &fields); err != nil {
		return nil, err
	}
	var id string
	if err := json.Unmarshal(fields["id"], &id); err != nil {
		return nil, err
	}
	fields["id"] = json.RawMessage(strconv.Quote(strconv.Itoa(partition) + "." + id))
	return json.Marshal(fields)
}

// splitID splits an id.
func splitID(id string) (partition int, rest string, err error) {
	first, rest, ok := strings.Cut(id, ".")
	if partition, err = strconv.Atoi(first); !ok || err != nil {
		return 0, "", fmt.Errorf("dead letter %q: %w: expected an id from the list, which begins with its partition", id, console.ErrNoDeadLetter)
	}
	return partition, rest, nil
}

// DeadLetter returns one dead letter, by its id in the list.
func (r *Replica) DeadLetter(ctx context.Context, id string) (json.RawMessage, error) {
	p, rest, err := splitID(id)
	if err != nil {
		return nil, err
	}
	answer, err := r.call(ctx, p, callLetter, []byte(rest))
	if err != nil {
		return nil, err
	}
	return withPartition(answer, p)
}
