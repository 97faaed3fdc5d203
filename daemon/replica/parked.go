package replica

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
)

// parkedCall is a call about reports with an unknown outcome: a list, if there is no ID; a decision, if there is a Fate.
type parkedCall struct {
	Cursor string `json:",omitempty"`
	Limit  int    `json:",omitempty"`
	ID     string `json:",omitempty"`
	Fate   string `json:",omitempty"`
}

// parkedAnswer is the answer. The two errors that callers tell apart are flags: all other errors have only their text between replicas.
type parkedAnswer struct {
	Parked    []console.Parked `json:",omitempty"`
	Missing   bool             `json:",omitempty"` // console.ErrNotParked
	BadCursor bool             `json:",omitempty"` // console.ErrCursor
}

// answerParked answers such a call, for one partition.
func answerParked(ctx context.Context, p *partition.Partition, data []byte) ([]byte, error) {
	var c parkedCall
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, err
	}
	var a parkedAnswer
	var err error
	switch {
	case c.Fate != "":
		err = p.Settle(ctx, c.ID, c.Fate)
	case c.ID != "":
		var one console.Parked
		one, err = p.ParkedReport(ctx, c.ID)
		a.Parked = []console.Parked{one}
	default:
		a.Parked, err = p.Parked(ctx, c.Cursor, c.Limit)
	}
	a.Missing, a.BadCursor = errors.Is(err, console.ErrNotParked), errors.Is(err, console.ErrCursor)
	if a.Missing || a.BadCursor {
		err = nil
	}
	return marshalled(a, err)
}

// askParked calls the owner of a partition. Ids in the answer begin with the partition.
func (r *Replica) askParked(ctx context.Context, p int, c parkedCall) ([]console.Parked, error) {
	data, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	var a parkedAnswer
	answer, err := r.call(ctx, p, callParked, data)
	if err == nil {
		err = json.Unmarshal(answer, &a)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("partition %d: %w", p, err)
	case a.Missing:
		return nil, console.ErrNotParked
	case a.BadCursor:
		return nil, fmt.Errorf("%w: %q", console.ErrCursor, c.Cursor)
	}
	for i := range a.Parked {
		a.Parked[i].ID = strconv.Itoa(p) + "." + a.Parked[i].ID
	}
	return a.Parked, nil
}

// Parked returns the reports with an unknown outcome of all partitions, one partition after the other. It fails if one of them does not
// answer.
func (r *Replica) Parked(ctx context.Context, cursor string, limit int) (all []console.Parked, err error) {
	from, rest := 0, ""
	if cursor != "" {
		if from, rest, err = splitCursor(cursor); err != nil {
			return nil, err
		}
	}
	for p := from; p < r.options.Cluster.Partitions && len(all) < limit; p++ {
		some, err := r.askParked(ctx, p, parkedCall{Cursor: rest, Limit: limit - len(all)})
		if err != nil {
			return nil, err
		}
		all, rest = append(all, some...), ""
	}
	return all, nil
}

// ParkedReport returns one of them, by its id in the list.
func (r *Replica) ParkedReport(ctx context.Context, id string) (console.Parked, error) {
	p, rest, err := r.splitParked(id)
	if err != nil {
		return console.Parked{}, err
	}
	one, err := r.askParked(ctx, p, parkedCall{ID: rest})
	if err != nil {
		return console.Parked{}, err
	}
	if len(one) != 1 {
		return console.Parked{}, console.ErrNotParked
	}
	return one[0], nil
}

// Settle decides about one of them. It returns once that is durable with the owner of its partition.
func (r *Replica) Settle(ctx context.Context, id, fate string) error {
	p, rest, err := r.splitParked(id)
	if err == nil {
		_, err = r.askParked(ctx, p, parkedCall{ID: rest, Fate: fate})
	}
	return err
}

// splitParked splits an id from the list.
func (r *Replica) splitParked(id string) (p int, rest string, err error) {
	p, rest, err = splitID(id)
	if err != nil || p < 0 || p >= r.options.Cluster.Partitions || rest == "" {
		return 0, "", errors.Join(console.ErrNotParked, errors.New("expected an id from the list, which begins with its partition"))
	}
	return p, rest, nil
}
