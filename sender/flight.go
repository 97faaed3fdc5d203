package sender

import (
	"context"
	"time"

	"github.com/reporterd/reporterd/spool"
)

// flight is what an attempt under way takes of the Sender's room. The Sender's mutex guards taken.
type flight struct {
	lane  *lane
	id    spool.BatchID
	sick  bool // its lane was in trouble when it began
	taken bool // 3scale took its report, and the outcome is being recorded: it counts as recording, not as in flight
}

// startAttemptLocked starts a goroutine for one attempt. It ends by itself, and Run waits for it. The mutex is held.
func (s *Sender) startAttemptLocked(ctx context.Context, l *lane, b spool.BatchInfo, now time.Time) {
	s.picks++
	l.picked = s.picks
	l.picks++
	l.inFlight[b.ID] = struct{}{}
	s.inFlight++
	s.fillLocked(now)
	s.schedule.place(l, now)
	f := &flight{lane: l, id: b.ID, sick: l.trouble.exists()}
	if f.sick {
		s.inTrouble++
	}
	if l.key.PassedOn() {
		s.passedOn++
	}
	s.flights.Go(func() {
		s.attempt(ctx, f, b.Attempts > 0, now)
		s.endAttempt(f)
	})
}

// makeRoom makes room for the next report while the outcome of one that 3scale took is being recorded. As many outcomes as there may be
// reports in flight are recorded beside them: a kill makes each of them ambiguous.
func (s *Sender) makeRoom(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.sick || s.recording >= s.limit.room() {
		return
	}
	if s.inFlight >= s.limit.room() {
		s.poke() // a lane may wait for the room
	}
	f.taken = true
	s.inFlight--
	s.recording++
	s.fillLocked(time.Now())
}

// endAttempt ends an attempt, with every outcome.
func (s *Sender) endAttempt(f *flight) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(f.lane.inFlight, f.id)
	s.schedule.touch(f.lane)
	if f.taken {
		s.recording--
	} else {
		s.inFlight--
	}
	s.fillLocked(time.Now())
	if f.sick {
		s.inTrouble--
	}
	if f.lane.key.PassedOn() {
		s.passedOn--
	}
	s.progressedLocked()
	s.poke()
}
