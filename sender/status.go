package sender

import (
	"cmp"
	"context"
	"slices"

	"github.com/reporterd/reporterd/spool"
)

// refresh brings the heads of the lanes up to what the spool has. Only as many batches are looked at as
// could be in flight, so that a long outage costs no memory here. The mutex is held: a batch leaves
// flying only under it, so what is settled meanwhile cannot be picked again.
func (s *Sender) refresh() {
	for _, l := range s.lanes {
		l.head = nil
	}
	for _, key := range s.spool.Lanes() {
		l, ok := s.lanes[key]
		if !ok {
			l = newLane(key)
			s.lanes[key] = l
		}
		l.head = s.spool.Lane(key, s.share()+1)
	}
	for key, l := range s.lanes {
		if len(l.head) == 0 && len(l.flying) == 0 && !key.Credentials.IsZero() {
			delete(s.lanes, key)
		}
	}
}

// Tried returns once every batch that was cut at or before upTo is settled, or was attempted at least
// once, or waits behind one whose attempt failed. It returns the context's error when ctx ends first.
func (s *Sender) Tried(ctx context.Context, upTo spool.Position) error {
	for {
		waiting, progress := s.untried(upTo)
		if !waiting {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-progress:
		}
	}
}

// untried reports whether a batch waits for its first attempt to end, and a channel that is closed when
// an attempt does.
func (s *Sender) untried(upTo spool.Position) (waiting bool, progress <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.spool.Batches() {
		if b.ID.Position <= upTo && s.waits(&b) {
			return true, s.progress
		}
	}
	return false, s.progress
}

// waits reports whether a batch was not tried yet, and is not behind one that was in vain. An attempt is
// recorded before it is made, so the first is under way while there is one and it flies.
func (s *Sender) waits(b *spool.BatchInfo) bool {
	l, ok := s.lanes[b.Lane]
	if !ok {
		return b.Attempts == 0
	}
	if _, flying := l.flying[b.ID]; flying {
		return b.Attempts <= 1
	}
	return b.Attempts == 0 && !l.trouble.exists()
}

// Lanes returns every lane with something to deliver, and those of configured services that had some
// since the start, by service.
func (s *Sender) Lanes() []LaneStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refresh()
	sorted := make([]LaneStatus, 0, len(s.lanes))
	for key, l := range s.lanes {
		status := l.status()
		status.Batches, status.Events = s.spool.LaneFigures(key)
		sorted = append(sorted, status)
	}
	slices.SortFunc(sorted, func(a, b LaneStatus) int {
		return cmp.Or(cmp.Compare(a.ServiceID, b.ServiceID), a.Oldest.Compare(b.Oldest))
	})
	return sorted
}

// Stats are figures since the start. Each is exact; together they are no snapshot.
type Stats struct {
	ReportCalls  uint64            // calls made, whatever came of them
	Transactions uint64            // delivered
	Verdicts     map[string]uint64 // calls by verdict: "delivered", "split", "bisect", "hold", "retry", "ambiguous"
	InFlight     int               // calls that are being made now
}

// Stats returns the figures.
func (s *Sender) Stats() Stats {
	st := Stats{
		ReportCalls: s.counts.calls.Load(), Transactions: s.counts.delivered.Load(),
		Verdicts: make(map[string]uint64, len(kinds)),
	}
	for k := Delivered; k <= Ambiguous; k++ {
		st.Verdicts[k.String()] = s.counts.verdicts[k].Load()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.InFlight = s.flying
	return st
}
