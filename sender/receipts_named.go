package sender

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/sender/receipt"
	"github.com/reporterd/reporterd/spool"
)

// NamedEnd is a report that 3scale did not count whole and once, or of which that cannot be known.
type NamedEnd struct {
	Batch     string    `json:"batch"`
	ServiceID string    `json:"service_id"`
	End       string    `json:"end"`    // partial, double or unconfirmed
	Late      bool      `json:"late"`   // it was counted once more after its end was known
	Slices    []string  `json:"slices"` // of 400 transactions: counted, missing, begun or doubled
	Events    uint64    `json:"events"`
	Sent      time.Time `json:"sent"` // its latest attempt
}

const (
	namedFor   = 5 * 24 * time.Hour // as long as the ledger keeps evidence of a batch
	mostNamed  = 5000
	mostUnseen = 1000
)

// namedEnds are the latest of them, the oldest first. They are durable, in the file of receipts, before the batch has its end.
type namedEnds struct {
	mu     sync.Mutex // guards what follows
	list   []NamedEnd
	unseen []unseenEnd // the latest, at most mostUnseen: more than the ledger is behind
}

// unseenEnd is a report that was delivered without receipts, while a receipt application or metric of its service was gone.
type unseenEnd struct {
	Batch string `json:"batch"`
}

func (n *namedEnds) addUnseen(batch string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unseen = append(n.unseen, unseenEnd{batch})
	if extra := len(n.unseen) - mostUnseen; extra > 0 {
		n.unseen = slices.Delete(n.unseen, 0, extra)
	}
}

// seen takes back addUnseen: a crash came before the batch had its end, and its report was sent again with receipts.
func (n *namedEnds) seen(batch string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.unseen = slices.DeleteFunc(n.unseen, func(e unseenEnd) bool { return e.Batch == batch })
}

// add appends one, in place of an earlier one of the same batch, and removes what is old.
func (n *namedEnds) add(e NamedEnd, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.list = slices.DeleteFunc(n.list, func(o NamedEnd) bool { return o.Batch == e.Batch || now.Sub(o.Sent) > namedFor })
	n.list = append(n.list, e)
	if extra := len(n.list) - mostNamed; extra > 0 {
		n.list = slices.Delete(n.list, 0, extra)
	}
}

// latest returns the last of them, the newest first.
func (n *namedEnds) latest(most int) []NamedEnd {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := slices.Clone(n.list[max(0, len(n.list)-most):])
	slices.Reverse(all)
	return all
}

func (n *namedEnds) of(batch string) (NamedEnd, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i := len(n.list) - 1; i >= 0; i-- {
		if n.list[i].Batch == batch {
			return n.list[i], true
		}
	}
	if slices.Contains(n.unseen, unseenEnd{batch}) {
		return NamedEnd{Batch: batch, End: receipt.Unconfirmed.String()}, true
	}
	return NamedEnd{}, false
}

// EndOf returns the end of a batch that receipts named, also after a restart. It is known before the batch has its end, for five
// days or the last 5000 of them, and for the last 1000 that were delivered without receipts of a service that has some. false: there is
// none.
func (s *Sender) EndOf(id spool.BatchID) (NamedEnd, bool) {
	if len(s.keepers) == 0 {
		return NamedEnd{}, false
	}
	return s.named.of(id.String())
}

// name keeps the end of a report that is not counted whole and once.
func (k *keeper) name(c receipt.Conclusion[spool.BatchID], events uint64) {
	if c.End == receipt.Counted || c.End == receipt.Dropped {
		k.named.seen(c.ID.String())
		return
	}
	k.named.add(NamedEnd{
		Batch: c.ID.String(), ServiceID: k.service, End: c.End.String(), Slices: sliceNames(c.Mask, c.Digits), Events: events, Sent: c.Sent.UTC(),
	}, time.Now())
}

// nameUnseen counts a report that 3scale accepted without receipts as unconfirmed, and keeps that durably. Its service has receipts, and one of
// their applications or metrics is gone. It returns false if that could not be recorded.
func (d *delivery) nameUnseen(ctx context.Context) bool {
	k := d.keeperOf(d.batch.Lane)
	if k == nil {
		return true
	}
	k.named.addUnseen(d.batch.ID.String())
	return k.saveReceipts(ctx)
}

// countUnseen counts it, once it has its end.
func (d *delivery) countUnseen() {
	k := d.keeperOf(d.batch.Lane)
	if k == nil {
		return
	}
	events := uint64(0)
	for _, i := range d.fresh {
		events += uint64(d.batch.Transactions[i].Events)
	}
	k.sum(receipt.Unconfirmed, events)
}

// nameLate keeps that a report was counted once more after its end.
func (k *keeper) nameLate(l *receipt.Late[spool.BatchID]) {
	e, known := k.named.of(l.ID.String())
	if !known {
		e = NamedEnd{Batch: l.ID.String(), ServiceID: k.service, Sent: time.Now().UTC()}
	}
	e.End, e.Late, e.Slices = receipt.Double.String(), true, sliceNames(l.Mask, l.Digits)
	k.named.add(e, time.Now())
}

func sliceNames(mask receipt.Mask, digits [receipt.Applications]uint8) []string {
	names := []string{}
	for _, state := range receipt.Slices(mask, digits) {
		names = append(names, state.String())
	}
	return names
}

// The keys of the named and the unseen ends in the file of receipts: no service has such an id.
const (
	namedKey  = ""
	unseenKey = " "
)

// reservedReceipts is the file of places that are kept, by service, and of the named ends.
type reservedReceipts map[string]json.RawMessage

// receiptsContent is the content of the file: what is kept, as of a moment.
func (s *Sender) receiptsContent(now time.Time) ([]byte, error) {
	all := make(map[string]any)
	for service, k := range s.keepers {
		k.mu.Lock()
		kept := k.book.Reserved(spool.BatchID.String, now)
		k.mu.Unlock()
		if len(kept) > 0 {
			all[service] = kept
		}
	}
	if named := s.named.latest(mostNamed); len(named) > 0 {
		slices.Reverse(named)
		all[namedKey] = named
	}
	s.named.mu.Lock()
	defer s.named.mu.Unlock()
	if len(s.named.unseen) > 0 {
		all[unseenKey] = s.named.unseen
	}
	return json.Marshal(all)
}

// reserveReceipts keeps the places of before the start, and the named ends.
func (s *Sender) reserveReceipts() error {
	if len(s.keepers) == 0 {
		return nil
	}
	data, err := s.spool.LoadReceipts()
	if err != nil || data == nil {
		return err
	}
	var all reservedReceipts
	if err := json.Unmarshal(data, &all); err != nil {
		return fmt.Errorf("sender: the file receipts: %w", err)
	}
	for service, text := range all {
		if err := s.reserveOne(service, text); err != nil {
			return fmt.Errorf("sender: the file receipts: %w", err)
		}
	}
	return nil
}

func (s *Sender) reserveOne(service string, text json.RawMessage) error {
	s.named.mu.Lock()
	defer s.named.mu.Unlock()
	switch service {
	case namedKey:
		return json.Unmarshal(text, &s.named.list)
	case unseenKey:
		return json.Unmarshal(text, &s.named.unseen)
	}
	var kept []receipt.Reserved
	if err := json.Unmarshal(text, &kept); err != nil {
		return err
	}
	for _, r := range kept {
		if k := s.keepers[service]; k != nil {
			id, err := spool.ParseBatchID(r.Name)
			if err != nil {
				k.log.Debug("a place is kept for a name that is no batch's", zap.String("name", r.Name))
			}
			k.book.Reserve(id, r)
		}
	}
	return nil
}
