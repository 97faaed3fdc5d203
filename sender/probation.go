package sender

import (
	"errors"
	"net"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// probation is a batch in probation. It is kept as long as the batch lives; nothing of it is on disk, since
// all of it is found out again. The Sender's mutex guards it.
type probation struct {
	lane   *lane
	began  time.Time // examined first
	since  time.Time // examined first, or again after a wait
	id     spool.BatchID
	due    time.Time // look at it again; zero: it is not set aside
	slot   int       // in the Sender's aside, while it is set aside
	asking int       // sets of questions of it that are under way: it may ask again before the first is answered
	wanted bool      // it waits for answers, rather than for time to pass
	clock  bool      // it waits for the backend's clock
}

// probation returns the batch's probation, and makes one if need be.
func (d *delivery) probation() *probation {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.probations[d.batch.ID]
	if w == nil {
		w = &probation{lane: d.lane, id: d.batch.ID, began: d.began, since: d.began}
		d.probations[d.batch.ID] = w
	}
	return w
}

// ask puts the batch's questions and sets it aside until they are answered, or until the wait is over.
//
// Parts that were divided before get half of the lane's places only: when more is unknown than can be asked about,
// what comes new is looked at all the same, and its proven part goes on.
func (d *delivery) ask(s proof.Scope, x *examination, w *probation) {
	d.mu.Lock()
	calm := !d.lane.probing.exists() && !d.lane.trouble.exists() // else they would be looked at in vain
	if calm && d.batch.ID.Splits() > 0 && !w.wanted && d.lane.awaitingProof >= mostQuestioning/2 {
		defer d.mu.Unlock()
		d.setAsideLocked(d.batch.ID, w, d.began.Add(probationWait+jitter(probationWait)), false)
		return
	}
	questions, put, due := x.questions, true, latest(w.since, d.began.Add(-d.probationWait()/2)).Add(d.probationWait())
	if b := &d.lane.probing; b.exists() || d.lane.trouble.exists() {
		questions = questions[:min(1, len(questions))] // as any other attempt of a lane in trouble: one call
		from := b.notBefore
		if d.breaker.open {
			from = latest(from, d.breaker.notBefore)
		}
		if put = d.lane.asking == 0 && !d.began.Before(from); !put {
			due = latest(from, d.began.Add(time.Second))
		} else if d.breaker.open { // one call at a time, over all lanes
			d.breaker.notBefore = latest(d.breaker.notBefore, d.began.Add(time.Second))
		}
	}
	d.setAsideLocked(d.batch.ID, w, due, true)
	put = put && len(questions) > 0
	if put {
		w.asking++
		d.lane.asking++
	}
	d.mu.Unlock()
	if put && !d.options.Prober.Ask(s, d.origin(), questions, func(f *proof.Failure) { d.answered(d.batch.ID, w, s.Credentials, f) }) {
		d.mu.Lock()
		defer d.mu.Unlock()
		w.asking-- // there is no room: the batch comes back when its wait is over
		d.lane.asking--
		d.schedule.touch(d.lane)
	}
}

// origin says whether the batch goes out with configured credentials, or with some that a reporter sent.
func (d *delivery) origin() proof.Origin {
	if d.batch.Lane.Credentials.IsZero() {
		return proof.Configured
	}
	return proof.PassedOn
}

// linger sets the batch aside until time has passed, or its questions are answered.
func (d *delivery) linger(s proof.Scope, x *examination, w *probation) {
	if len(x.questions) > 0 {
		d.mu.Lock()
		w.since = d.began
		d.mu.Unlock()
		d.ask(s, x, w)
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if x.at.IsZero() {
		x.at = d.began.Add(time.Second)
	}
	d.setAsideLocked(d.batch.ID, w, x.at, false)
}

// setAsideLocked takes a batch out of its lane until a moment. The mutex is held.
func (s *Sender) setAsideLocked(id spool.BatchID, w *probation, due time.Time, wanted bool) {
	if wanted && !w.wanted {
		w.lane.awaitingProof++
	}
	w.wanted = wanted
	s.clock.wait(w, false)
	s.aside.put(w, due)
	s.schedule.touch(w.lane)
	s.spool.SetAside(id)
}

// recallLocked puts a batch back into its lane. The mutex is held.
func (s *Sender) recallLocked(id spool.BatchID, w *probation) {
	if w.wanted {
		w.lane.awaitingProof--
	}
	w.wanted = false
	s.clock.wait(w, false)
	s.aside.take(w)
	s.schedule.touch(w.lane)
	s.spool.Recall(id)
}

// recallDueLocked puts back what was set aside until now. The mutex is held.
func (s *Sender) recallDueLocked(now time.Time) {
	for w := s.aside.top(); w != nil && !w.due.After(now); w = s.aside.top() {
		s.recallLocked(w.id, w)
	}
}

// releaseLocked forgets a batch that is no more. The mutex is held.
func (s *Sender) releaseLocked(id spool.BatchID) {
	if w := s.probations[id]; w != nil {
		if w.wanted {
			w.lane.awaitingProof--
		}
		s.clock.wait(w, false)
		s.aside.take(w)
		s.schedule.touch(w.lane)
		delete(s.probations, id)
	}
}

// answered ends the questions of a batch, which is then looked at again: at once, or after a failure when
// the lane may ask again.
func (s *Sender) answered(id spool.BatchID, w *probation, asked threescale.Credentials, f *proof.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, l := time.Now(), w.lane
	w.asking--
	l.asking--
	s.schedule.touch(l)
	due := now
	switch current, ok := s.credentialsOf(l.key); {
	case f == nil:
		s.probeOKLocked(l, now)
	case !ok || current != asked: // a reload came in between: what was said is about other credentials
	default:
		due = s.probeFailingLocked(l, now, f)
	}
	if s.probations[id] == w && !w.due.IsZero() {
		s.aside.put(w, due)
	}
	s.progressedLocked()
	s.poke()
}

// probeOKLocked books a question that was answered: the backend is there, and the credentials open the service.
// The mutex is held.
func (s *Sender) probeOKLocked(l *lane, now time.Time) {
	s.backendAnsweredLocked(now)
	if b := l.probing; b.logged {
		s.log.Info("questions are answered again", zap.String("service_id", l.key.ServiceID), zap.String("after", b.code),
			zap.Duration("lasted", now.Sub(b.since)), zap.Int("failures", b.failures))
	}
	l.probing = probeTrouble{}
	if l.trouble.kind == Hold {
		s.recoverLocked(l, now)
	}
}

// probeFailingLocked books a question that failed, and returns when the lane may ask again. Refused credentials hold
// the lane, as they would have for a report. The mutex is held.
func (s *Sender) probeFailingLocked(l *lane, now time.Time, f *proof.Failure) time.Time {
	v := judgeQuestion(Outcome{Answer: f.Answer, Err: f.Err})
	if v.Kind == Hold {
		s.failLocked(l, now, v, f.Err)
		return l.notBefore
	}
	s.backendSilentLocked(l, now)
	b := &l.probing
	if !b.exists() || !s.breaker.open && now.Sub(b.notBefore) > probationWait {
		b.since, b.failures = now, 0 // no question was asked for a while: what failed then says nothing about now
	}
	b.failures++
	l.failures++
	s.failures++
	b.code, b.latest = v.Code, now
	b.notBefore = now.Add(s.backoff.delay(b.failures, v.Wait))
	if b.failures == 2 && !b.logged {
		b.logged = true
		what := "cannot ask 3scale which applications exist: usage stays on disk, and what is unconfirmed is reported separately"
		if dialled := (*net.OpError)(nil); errors.As(f.Err, &dialled) && dialled.Op == "dial" { // reports go the same way
			what = "cannot reach 3scale: usage stays on disk and is retried"
		}
		s.log.Warn(what, zap.String("service_id", l.key.ServiceID), zap.String("url", s.client.URL()), zap.String("code", v.Code),
			zap.Time("since", b.since), adviceField(v.Code), zap.Error(f.Err))
	}
	if b.lasting() && !l.trouble.exists() {
		return now // reports get through: it travels alone
	}
	return b.notBefore
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// probeTrouble is what keeps a lane's questions from being answered. Its zero value: nothing does.
type probeTrouble struct {
	code      string
	since     time.Time // of the first failure
	latest    time.Time // of the last
	notBefore time.Time // no question earlier
	failures  int       // in a row
	logged    bool
	trial     bool // a batch was divided to see whether reports get through
}

func (b *probeTrouble) exists() bool { return b.failures > 0 }

// lasting reports whether questions went on failing for so long that waiting for their end is pointless.
func (b *probeTrouble) lasting() bool {
	return b.exists() && b.latest.Sub(b.since) >= probationWait
}
