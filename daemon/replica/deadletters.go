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

// Reject keeps a message that can never be taken with the partition of its service. It returns once the letter is durable.
func (r *Replica) Reject(m partition.Message) error {
	node := r.node.Load()
	if node == nil {
		return errUnjoined
	}
	data, err := json.Marshal(m)
	if err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), callTime)
		defer cancel()
		_, err = r.call(ctx, node.Partition(m.ServiceID), callReject, data)
	}
	return err
}

// everywhere calls the owner of each partition.
func (r *Replica) everywhere(ctx context.Context, kind string, data []byte, take func(partition int, answer []byte) error) error {
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

// Flush has every partition flushed. lanes are those of the partitions that answered.
func (r *Replica) Flush(ctx context.Context) (lanes []console.FlushedLane, err error) {
	err = r.everywhere(ctx, callFlush, nil, func(_ int, answer []byte) error {
		if len(answer) == 0 {
			return nil // of an earlier version
		}
		var some []console.FlushedLane
		err := json.Unmarshal(answer, &some)
		lanes = append(lanes, some...)
		return err
	})
	return lanes, err
}

// A dead letter's id begins with its partition here: each counts its own.

// DeadLetters lists the dead letters of every partition that a query chooses.
func (r *Replica) DeadLetters(ctx context.Context, q console.DeadLetterQuery) (console.DeadLetters, error) {
	var page console.DeadLetters
	from, cursor := 0, ""
	if q.Cursor != "" {
		var err error
		if from, cursor, err = paged(q.Cursor); err != nil {
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
			named, err := renamed(l, p)
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

// renamed puts the partition before a letter's id.
func renamed(letter json.RawMessage, partition int) (json.RawMessage, error) {
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

// partitioned takes an id apart.
func partitioned(id string) (partition int, rest string, err error) {
	first, rest, ok := strings.Cut(id, ".")
	if partition, err = strconv.Atoi(first); !ok || err != nil {
		return 0, "", fmt.Errorf("dead letter %q: %w: expected an id as it is listed, which begins with its partition", id, console.ErrNoDeadLetter)
	}
	return partition, rest, nil
}

// DeadLetter is one of them, named as it is listed.
func (r *Replica) DeadLetter(ctx context.Context, id string) (json.RawMessage, error) {
	p, rest, err := partitioned(id)
	if err != nil {
		return nil, err
	}
	answer, err := r.call(ctx, p, callLetter, []byte(rest))
	if err != nil {
		return nil, err
	}
	return renamed(answer, p)
}
