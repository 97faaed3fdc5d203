package sender

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
)

// lose gives up a batch that was read and is not what was written: its events are counted as lost. The spool reads it
// once more first: when that works, the batch stays, and is tried again.
func (s *Sender) lose(ctx context.Context, l *lane, id spool.BatchID, damage error) {
	sound := false
	done := s.persist(ctx, "lose", l, func() error {
		err := s.spool.Lose(id)
		if sound = errors.Is(err, spool.ErrNotDamaged); sound {
			return nil
		}
		return err
	})
	if !done || sound {
		return
	}
	s.log.Error("sealed batch is damaged, its events are lost", zap.String("service_id", l.key.ServiceID),
		zap.Stringer("batch", id), zap.Error(damage))
	s.mu.Lock()
	s.releaseLocked(id)
	s.mu.Unlock()
}

// persist repeats a write until it is done, and reports whether it is: what is known must not be
// forgotten and learned again by another call, which the backend would count again. Only a stop ends
// that, after one more try; the attempt then has no outcome, which the spool counts as ambiguous when
// it is opened again. A batch that is not live any more has its record.
func (s *Sender) persist(ctx context.Context, record string, l *lane, write func() error) bool {
	for failures := 0; ; failures++ {
		err := write()
		if err == nil || errors.Is(err, spool.ErrUnknownBatch) {
			if failures > 0 {
				s.log.Info("outcome is recorded", zap.String("service_id", l.key.ServiceID),
					zap.String("record", record), zap.Int("failures", failures))
			}
			return true
		}
		if failures == 0 {
			s.log.Error("outcome cannot be recorded, trying again", zap.String("service_id", l.key.ServiceID),
				zap.String("record", record), zap.Error(err))
		}
		if ctx.Err() != nil || errors.Is(err, spool.ErrClosed) {
			return false
		}
		pause(ctx, s.backoff.ceiling(failures+1))
	}
}

// pause waits, but not longer than ctx lives.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// Codes of attempts that were not made.
const (
	noCredentials = "no_credentials"
	badDisk       = "disk"
)

// diskMax is the most that a lane waits before it tries again what the disk refused: an attempt costs little.
const diskMax = 5 * time.Second

// setback books a failed attempt that began at began. It is logged once: at once when an operator has to do
// something about it, otherwise when it happens a second time in a row.
func (s *Sender) setback(l *lane, began time.Time, v Verdict, cause error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failLocked(l, began, v, cause)
}

// failLocked is setback for those who hold the mutex.
func (s *Sender) failLocked(l *lane, began time.Time, v Verdict, cause error) {
	switch {
	case v.Code == noCredentials, v.Code == badDisk: // no request was sent
	case v.Kind == Hold:
		s.backendAnsweredLocked(time.Now()) // an answer arrived
	default:
		s.backendSilentLocked(l, time.Now())
	}
	s.schedule.touch(l)
	before := l.failures
	l.fail(v, began, time.Now(), func(failures int) time.Duration {
		if v.Kind == Hold {
			return around(s.holdPollLocked(l))
		}
		if v.Code == badDisk {
			return min(s.backoff.delay(failures, 0), diskMax)
		}
		return s.backoff.delay(failures, v.Wait)
	})
	s.failures += l.failures - before
	t := &l.trouble
	if t.logged || (v.Kind != Hold && v.Code != unexpectedAnswer && t.failures < 2) {
		return
	}
	t.logged = true
	s.log.Warn("reports are not delivered", zap.String("service_id", l.key.ServiceID),
		zap.String("state", string(l.state())), zap.String("verdict", v.Kind.String()), zap.String("code", v.Code),
		zap.Time("since", t.since), zap.String("url", s.client.URL()), adviceField(v.Code), zap.Error(cause))
}

// Lanes in trouble with credentials that reporters sent are tried at a bounded rate, so that any number of them costs few calls.
const (
	pollsInTurn = 128 // of them, on average, in one HoldPoll
	pollMax     = time.Hour
)

// holdPollLocked is how long a held lane waits. The mutex is held.
func (s *Sender) holdPollLocked(l *lane) time.Duration {
	turns := 1 + (s.schedule.waitingTroubled.Len()+s.schedule.readyTroubled.Len())/pollsInTurn
	if !l.key.PassedOn() || turns == 1 {
		return s.options.HoldPoll
	}
	return max(s.options.HoldPoll, min(s.options.HoldPoll*time.Duration(turns), pollMax))
}

// recovered books an attempt that the backend answered, and ends the lane's trouble.
func (s *Sender) recovered(l *lane) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.answered = time.Now()
	s.backendAnsweredLocked(l.answered)
	s.recoverLocked(l, time.Now())
}

// recoverLocked ends a lane's trouble, if there is any. The mutex is held.
func (s *Sender) recoverLocked(l *lane, now time.Time) {
	s.schedule.touch(l)
	ended := l.succeed(now, s.share())
	if !ended.logged {
		return
	}
	s.log.Info("reports are delivered again", zap.String("service_id", l.key.ServiceID), zap.String("after", ended.code),
		zap.Duration("lasted", now.Sub(ended.since)), zap.Int("failures", ended.failures))
}
