package partition

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// parkedOperations lists reports with an unknown outcome, and decides about them.
type parkedOperations struct {
	spool  *spool.Spool
	sender *sender.Sender
	nameOf func(spool.LaneKey, threescale.Application) string // shown in place of a user key
}

// Parked returns at most limit reports with an unknown outcome, with their transactions, behind a cursor: the id of a report, or
// empty.
func (p *Partition) Parked(_ context.Context, cursor string, limit int) ([]console.Parked, error) {
	return p.parked.list(cursor, limit)
}

// ParkedReport returns one of them; console.ErrNotParked if the id is unknown.
func (p *Partition) ParkedReport(_ context.Context, id string) (console.Parked, error) {
	return p.parked.one(id)
}

// Settle decides about one of them: console.Resend, Counted or Bury. It returns once that is durable; console.ErrNotParked if the
// id is unknown.
func (p *Partition) Settle(_ context.Context, id, fate string) error {
	return p.parked.settle(id, fate)
}

func (p *parkedOperations) list(cursor string, limit int) ([]console.Parked, error) {
	var behind spool.BatchID
	if cursor != "" {
		id, err := spool.ParseBatchID(cursor)
		if err != nil {
			return nil, fmt.Errorf("%w: %q", console.ErrCursor, cursor)
		}
		behind = id
	}
	var out []console.Parked
	for len(out) < limit { // with fewer the client would believe that there are no more
		some := p.sender.Parked(behind, limit-len(out))
		if len(some) == 0 {
			break
		}
		for i := range some {
			behind = some[i].ID
			b, err := p.spool.Load(behind)
			if errors.Is(err, spool.ErrUnknownBatch) {
				continue // it was decided in the meantime
			}
			if err != nil {
				return nil, err
			}
			out = append(out, p.show(&some[i], b))
		}
	}
	return out, nil
}

func (p *parkedOperations) one(text string) (console.Parked, error) {
	id, err := spool.ParseBatchID(text)
	if err != nil {
		return console.Parked{}, console.ErrNotParked
	}
	info, parked := p.sender.ParkedBatch(id)
	if !parked {
		return console.Parked{}, console.ErrNotParked
	}
	b, err := p.spool.Load(id)
	if errors.Is(err, spool.ErrUnknownBatch) {
		err = console.ErrNotParked // it was decided in the meantime
	}
	if err != nil {
		return console.Parked{}, err
	}
	return p.show(&info, b), nil
}

// show describes a report. An application that is known by its user key only is named as in the ledger.
func (p *parkedOperations) show(info *spool.BatchInfo, b *spool.Batch) console.Parked {
	shown := console.Parked{
		ID: info.ID.String(), ServiceID: info.Lane.ServiceID, Events: info.Events, Attempts: info.Attempts, Ambiguous: info.Ambiguous,
		LastAttempt: info.Attempted.UTC(), SealedAt: info.Sealed.UTC(),
		Transactions: make([]console.ParkedTransaction, len(b.Transactions)),
	}
	for i := range b.Transactions {
		t := &b.Transactions[i]
		usage := make(map[string]uint64, len(t.Usage))
		for _, u := range t.Usage {
			usage[u.Metric] += u.Value
		}
		shown.Transactions[i] = console.ParkedTransaction{
			AppID: t.Application.ID, Usage: usage, Timestamp: time.Unix(t.Timestamp, 0).UTC(),
			ResponseCode: t.Code, Events: uint64(t.Events),
		}
		if t.Application.UserKey != "" { // a secret
			if name := p.nameOf(b.Lane, t.Application); ledger.IsUserKey(name) {
				shown.Transactions[i].UserKey = name
			} else {
				shown.Transactions[i].AppID = name
			}
		}
	}
	return shown
}

var fates = map[string]sender.Fate{console.Resend: sender.Resend, console.Counted: sender.Counted, console.Bury: sender.MakeDead}

func (p *parkedOperations) settle(text, fate string) error {
	id, err := spool.ParseBatchID(text)
	if err != nil {
		return console.ErrNotParked
	}
	err = p.sender.Unpark(id, fates[fate])
	if errors.Is(err, spool.ErrUnknownBatch) {
		return console.ErrNotParked
	}
	return err
}
