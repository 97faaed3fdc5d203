package sender

import (
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
)

// parks reports whether a batch is kept until an operator decides. It follows from what is on disk about the
// batch, so that it is the same after a crash at any moment.
func (s *Sender) parks(b *spool.BatchInfo) bool {
	return b.Held || b.Unresolved > 0 && s.parksAmbiguous(b.Lane) && !s.waitsForReceipt(b)
}

// parksAmbiguous reports whether a report of a lane that carried no receipt is kept when its outcome is unknown.
func (s *Sender) parksAmbiguous(key spool.LaneKey) bool {
	return s.options.OnAmbiguous == ParkAmbiguous || s.options.OnAmbiguous == ReceiptAmbiguous && s.keeperOf(key) != nil
}

// Parked returns parked batches behind one, at most limit, in the order of their ids: how often each was
// attempted, how often its outcome was unknown, and when it was last. Their transactions are the spool's
// to Load. Unless ambiguous batches are parked these are the held ones only: what a start found unresolved in a
// directory that was restored, or whose batch log lost records.
func (s *Sender) Parked(behind spool.BatchID, limit int) []spool.BatchInfo {
	if s.options.OnAmbiguous == RetryAmbiguous {
		return s.spool.Held(behind, limit)
	}
	var parked []spool.BatchInfo
	for len(parked) < limit {
		page := s.spool.Unresolved(behind, limit)
		for i := range page {
			if s.parks(&page[i]) && len(parked) < limit {
				parked = append(parked, page[i])
			}
		}
		if len(page) < limit {
			break
		}
		behind = page[len(page)-1].ID
	}
	return parked
}

// laneParked returns how many batches of a lane are parked, and how many events are in them.
func (s *Sender) laneParked(key spool.LaneKey) (batches int, events uint64) {
	if !s.parksAmbiguous(key) {
		return s.spool.LaneHeld(key)
	}
	batches, events = s.spool.LaneUnresolved(key)
	if k := s.keeperOf(key); k != nil {
		n, waiting := k.unresolved()
		batches, events = batches-n, events-waiting
	}
	return batches, events
}

// Fate is what an operator decides about a parked batch.
type Fate uint8

// The fates.
const (
	Resend   Fate = iota + 1 // it was not counted: send it again
	Counted                  // it was counted: done
	MakeDead                 // make dead letters of it
)

// unresolvedReason is the reason of a transaction that an operator gave up on.
var unresolvedReason = spool.Reason{
	Code:    "ambiguous",
	Message: "a report with it was sent and its outcome is unknown: the backend may have counted it",
}

// Unpark ends the parking of a batch. It returns once that is durable. A batch that is not parked gives
// spool.ErrUnknownBatch.
func (s *Sender) Unpark(id spool.BatchID, fate Fate) error {
	b, err := s.spool.Load(id)
	if err != nil {
		return err
	}
	info, parked := s.ParkedBatch(id)
	if !parked {
		return fmt.Errorf("sender: batch %s is not parked: %w", id, spool.ErrUnknownBatch)
	}
	if fate == Resend {
		if err := s.spool.ClearUnresolved(id); err != nil {
			return err
		}
		s.spool.Recall(id)
		s.touchKey(b.Lane)
		s.poke()
		return nil
	}
	r := s.decided(b, info.Attempted, fate)
	settled := s.options.Settling()
	if err := s.spool.Resolve(id, r); err != nil {
		settled()
		return err
	}
	s.options.Settled(b, r)
	settled()
	s.counts.resolved(b, r)
	s.mu.Lock()
	s.releaseLocked(id)
	s.mu.Unlock()
	s.touchKey(b.Lane)
	s.poke()
	return nil
}

// touchKey has the lane of a key, if there is one, looked at by the next wake-up.
func (s *Sender) touchKey(key spool.LaneKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.lanes[key]; l != nil {
		s.schedule.touch(l)
	}
}

// decided is the end of a parked batch. What was too old when it was attempted was not in the report: with
// every outcome of that, these were not counted.
func (s *Sender) decided(b *spool.Batch, attempted time.Time, fate Fate) spool.Resolution {
	d := &delivery{Sender: s, flight: &flight{}, batch: b, began: attempted}
	d.sort()
	d.fresh = append(d.fresh, d.waiting...) // there are none: what is early is in no report
	r := spool.Resolution{}
	if fate == Counted {
		r = d.taken()
	} else {
		for _, i := range d.fresh {
			r.Dead = append(r.Dead, spool.DeadLetter{Index: i, Reason: unresolvedReason})
		}
	}
	for _, i := range d.stale {
		r.Dead = append(r.Dead, spool.DeadLetter{Index: i, Reason: d.expiry(i)})
	}
	return r
}

// ParkedBatch returns what is known of a batch, and whether it is parked.
func (s *Sender) ParkedBatch(id spool.BatchID) (spool.BatchInfo, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	info, ok := s.spool.Batch(id)
	if l := s.lanes[info.Lane]; l != nil {
		if _, flying := l.inFlight[id]; flying {
			return spool.BatchInfo{}, false // its outcome is about to be recorded
		}
	}
	return info, ok && s.parks(&info)
}

// sayParked logs that a batch is kept, if that is what happens to it.
func (d *delivery) sayParked(v Verdict) {
	if !d.parksAmbiguous(d.batch.Lane) || d.riding != nil {
		return
	}
	d.log.Warn("batch is parked: its outcome is unknown, and an operator has to decide",
		zap.String("service_id", d.lane.key.ServiceID), zap.Stringer("batch", d.batch.ID), zap.String("code", v.Code),
		zap.Int("transactions", len(d.fresh)), zap.Uint64("events", d.batch.Events()))
}
