package sender

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool"
)

// heads returns a lane's most urgent batches. Parked ones, which wait for an operator, are set aside.
func (s *Sender) heads(key spool.LaneKey) []spool.BatchInfo {
	for {
		due := s.spool.Due(key, s.share()+1)
		if sound := s.sound(due); len(sound) == len(due) {
			return due
		}
	}
}

// sound returns those of the batches that may be sent, and sets the rest aside.
func (s *Sender) sound(batches []spool.BatchInfo) []spool.BatchInfo {
	var sound []spool.BatchInfo
	for i := range batches {
		if s.parks(&batches[i]) || s.waitsForReceipt(&batches[i]) {
			s.spool.SetAside(batches[i].ID)
		} else {
			sound = append(sound, batches[i])
		}
	}
	return sound
}

// Tried returns once every batch that was cut at or before upTo is settled, or was attempted at least
// once, or waits behind one whose attempt failed. It returns the context's error when ctx ends first.
func (s *Sender) Tried(ctx context.Context, upTo spool.Position) error {
	c := &scan{upTo: upTo}
	for {
		waiting, progress := s.untried(c)
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
func (s *Sender) untried(c *scan) (waiting bool, progress <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stops(c, s.waits), s.progress
}

// waits reports whether a batch was not tried yet, and is not behind one that was in vain. An attempt is
// recorded before it is made, so the first is under way while there is one and it flies. A parked batch is not tried
// before an operator has decided.
func (s *Sender) waits(b *spool.BatchInfo) bool {
	if s.parks(b) {
		return false
	}
	l, ok := s.lanes[b.Lane]
	if !ok {
		return b.Attempts == 0
	}
	if _, flying := l.inFlight[b.ID]; flying {
		return b.Attempts <= 1
	}
	if w := s.probations[b.ID]; w != nil && !w.due.IsZero() {
		about := w.asking > 0 || !w.due.After(time.Now()) // it is about to be looked at
		return about && !l.trouble.exists() && !l.probing.exists()
	}
	return b.Attempts == 0 && !l.trouble.exists() && !l.probing.exists()
}

// Waiting returns how many batches of configured services wait for delivery. It costs no walk, and takes no lock.
func (s *Sender) Waiting() int { return int(s.waiting.Load()) }

// Lanes returns the lanes of configured services that had something to deliver since the start, by service; and of those with
// credentials that reporters sent at most so many, the ones with the oldest usage, then sums over the rest, one for each state.
func (s *Sender) Lanes(most int) []LaneStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshLocked(time.Now())
	passedOn, rest := s.passedOnLanes.oldest(most)
	sorted := make([]LaneStatus, 0, len(s.own)+len(passedOn)+len(rest))
	for _, l := range slices.Concat(s.own, passedOn) {
		status := s.laneStatusLocked(l)
		status.Questioning = l.questioning()
		sorted = append(sorted, status)
	}
	slices.SortFunc(sorted, func(a, b LaneStatus) int {
		return cmp.Or(cmp.Compare(a.ServiceID, b.ServiceID), a.Oldest.Compare(b.Oldest))
	})
	return append(sorted, rest...)
}

// laneStatusLocked returns the status of a lane with what the spool has of it, all but Questioning. The mutex is held.
func (s *Sender) laneStatusLocked(l *lane) LaneStatus {
	s.passedOnLanes.looks++
	status := l.status()
	status.Batches, status.Events = s.spool.LaneFigures(l.key)
	if oldest := s.spool.Lane(l.key, 1); len(oldest) > 0 {
		status.Oldest = oldest[0].OldestAccepted
	}
	status.Parked, status.ParkedEvents = s.laneParked(l.key)
	if status.Parked > 0 && status.Parked == status.Batches {
		status.State = Parked
	}
	status.Questioned = len(l.aside)
	return status
}

// questioning is when the first of the batches that are set aside was examined first; zero: none is set aside.
func (l *lane) questioning() (first time.Time) {
	for w := range l.aside {
		if first.IsZero() || w.began.Before(first) {
			first = w.began
		}
	}
	return first
}
