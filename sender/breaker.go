package sender

import (
	"time"

	"go.uber.org/zap"
)

const (
	breakerStreak  = 8               // failures in a row, over all lanes
	breakerLanes   = 2               // that many lanes must have failed: one alone may be sick by itself
	breakerSilence = 3 * time.Second // for so long no request must have been answered
)

// breaker bounds how often a backend that is away is tried, however many lanes wait for it: while it is
// open, all lanes in trouble share one call at a time, with a backoff of its own. A lane that is not in
// trouble is not held up. The Sender's mutex guards it.
type breaker struct {
	open      bool
	since     time.Time
	notBefore time.Time // no call of a lane in trouble earlier
	answered  time.Time // when a request was answered last
	streak    int       // failures since then
	first     *lane     // the first of them
	several   bool      // there were further ones
}

// backendAnsweredLocked records that the backend answered something. The mutex is held.
func (s *Sender) backendAnsweredLocked(now time.Time) {
	b := &s.breaker
	if b.open {
		s.log.Info("the backend answers again", zap.Duration("lasted", now.Sub(b.since)), zap.Int("failures", b.streak))
		for _, l := range s.own { // they need not wait for what their own backoff says
			s.hastenRecoveredLocked(l, now)
		}
		looks := 0
		for _, l := range s.lanes {
			if looks++; looks > mostHastened { // there may be a million: the rest comes when its backoff ends
				break
			}
			if l.key.PassedOn() {
				s.hastenRecoveredLocked(l, now)
			}
		}
		s.poke()
	}
	*b = breaker{answered: now}
}

// mostHastened is how many lanes with credentials that reporters sent are looked at when the backend answers again.
const mostHastened = 1000

// hastenRecoveredLocked lets a lane try soon that waits because the backend did not answer. The mutex is held.
func (s *Sender) hastenRecoveredLocked(l *lane, now time.Time) {
	if l.trouble.kind == Hold || !l.inTrouble() {
		return
	}
	soon := now.Add(jitter(time.Second))
	if soon.Before(l.floor) {
		soon = l.floor
	}
	if soon.Before(l.notBefore) || l.probing.exists() {
		s.hastenLocked(l, soon)
	}
}

// backendSilentLocked records that a lane got no answer, or one that says to come back later. The mutex is held.
func (s *Sender) backendSilentLocked(l *lane, now time.Time) {
	b := &s.breaker
	if b.streak++; b.streak == 1 {
		b.first = l
	}
	b.several = b.several || b.first != l
	if !b.open {
		if b.streak < breakerStreak || !b.several || now.Sub(b.answered) < breakerSilence {
			return
		}
		b.open, b.since = true, now
		s.log.Warn("the backend is away: one call at a time until it answers", zap.Int("failures", b.streak))
	}
	b.notBefore = now.Add(s.backoff.delay(b.streak-breakerStreak/2, 0))
}
