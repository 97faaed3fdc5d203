package sender

import (
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// ward is a batch in probation. It is kept as long as the batch lives; nothing of it is on disk, since
// all of it is found out again. The Sender's mutex guards it.
type ward struct {
	lane   *lane
	since  time.Time // examined first
	due    time.Time // look at it again; zero: it is not set aside
	asking int       // sets of questions of it that are under way: it may ask again before the first is answered
	wanted bool      // it waits for answers, rather than for time to pass
}

// ward returns the batch's ward, and makes one if need be.
func (d *delivery) ward() *ward {
	d.mu.Lock()
	defer d.mu.Unlock()
	w := d.wards[d.batch.ID]
	if w == nil {
		w = &ward{lane: d.lane, since: d.began}
		d.wards[d.batch.ID] = w
	}
	return w
}

// ask puts the batch's questions and sets it aside until they are answered, or until the wait is over.
//
// Parts that were divided before get half of the lane's places only: when more is unknown than can be asked about,
// what comes new is looked at all the same, and its proven part goes on.
func (d *delivery) ask(s proof.Scope, x *examination, w *ward) {
	d.mu.Lock()
	calm := !d.lane.blind.exists() && !d.lane.trouble.exists() // else they would be looked at in vain
	if calm && d.batch.ID.Splits() > 0 && !w.wanted && d.lane.wondering >= mostQuestioning/2 {
		defer d.mu.Unlock()
		d.setAside(d.batch.ID, w, d.began.Add(probationWait+jitter(probationWait)), false)
		return
	}
	questions, put, due := x.questions, true, latest(w.since, d.began.Add(-d.probationWait()/2)).Add(d.probationWait())
	if b := &d.lane.blind; b.exists() || d.lane.trouble.exists() {
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
	d.setAside(d.batch.ID, w, due, true)
	put = put && len(questions) > 0
	if put {
		w.asking++
		d.lane.asking++
	}
	d.mu.Unlock()
	if put && !d.options.Prober.Ask(s, questions, func(f *proof.Failure) { d.answered(d.batch.ID, w, s.Credentials, f) }) {
		d.mu.Lock()
		defer d.mu.Unlock()
		w.asking-- // there is no room: the batch comes back when its wait is over
		d.lane.asking--
	}
}

// linger sets the batch aside until time has passed, or its questions are answered.
func (d *delivery) linger(s proof.Scope, x *examination, w *ward) {
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
	d.setAside(d.batch.ID, w, x.at, false)
}

// setAside takes a batch out of its lane until a moment. The mutex is held.
func (s *Sender) setAside(id spool.BatchID, w *ward, due time.Time, wanted bool) {
	if wanted && !w.wanted {
		w.lane.wondering++
	}
	w.due, w.wanted = due, wanted
	s.spool.SetAside(id)
	if s.nextWard.IsZero() || due.Before(s.nextWard) {
		s.nextWard = due
	}
}

// recall puts a batch back into its lane. The mutex is held.
func (s *Sender) recall(id spool.BatchID, w *ward) {
	if w.wanted {
		w.lane.wondering--
	}
	w.due, w.wanted = time.Time{}, false
	s.spool.Recall(id)
}

// recallDue puts back what was set aside until now. The mutex is held.
func (s *Sender) recallDue(now time.Time) {
	if s.nextWard.IsZero() || now.Before(s.nextWard) {
		return
	}
	s.nextWard = time.Time{}
	for id, w := range s.wards {
		switch {
		case w.due.IsZero():
		case !w.due.After(now):
			s.recall(id, w)
		case s.nextWard.IsZero() || w.due.Before(s.nextWard):
			s.nextWard = w.due
		}
	}
}

// discharge forgets a batch that is no more. The mutex is held.
func (s *Sender) discharge(id spool.BatchID) {
	if w := s.wards[id]; w != nil {
		if w.wanted {
			w.lane.wondering--
		}
		delete(s.wards, id)
	}
}

// answered ends the questions of a batch, which is then looked at again: at once, or after a failure when
// the lane may ask again.
func (s *Sender) answered(id spool.BatchID, w *ward, asked threescale.Credentials, f *proof.Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, l := time.Now(), w.lane
	w.asking--
	l.asking--
	due := now
	switch current, ok := s.opening(l.key); {
	case f == nil:
		s.sighted(l, now)
	case !ok || current != asked: // a reload came in between: what was said is about other credentials
	default:
		due = s.blinded(l, now, f)
	}
	if s.wards[id] == w && !w.due.IsZero() {
		w.due = due
		if s.nextWard.IsZero() || due.Before(s.nextWard) {
			s.nextWard = due
		}
	}
	s.progressed()
	s.poke()
}

// sighted books a question that was answered: the backend is there, and the credentials open the service.
// The mutex is held.
func (s *Sender) sighted(l *lane, now time.Time) {
	s.alive(now)
	if b := l.blind; b.logged {
		s.log.Info("questions are answered again", zap.String("service_id", l.key.ServiceID), zap.String("after", b.code),
			zap.Duration("lasted", now.Sub(b.since)), zap.Int("failures", b.failures))
	}
	l.blind = blindness{}
	if l.trouble.kind == Hold {
		s.recover(l, now)
	}
}

// blinded books a question that failed, and returns when the lane may ask again. Refused credentials hold
// the lane, as they would have for a report. The mutex is held.
func (s *Sender) blinded(l *lane, now time.Time, f *proof.Failure) time.Time {
	v := judgeQuestion(Outcome{Answer: f.Answer, Err: f.Err})
	if v.Kind == Hold {
		s.fail(l, now, v, f.Err)
		return l.notBefore
	}
	s.silent(l, now)
	b := &l.blind
	if !b.exists() || !s.breaker.open && now.Sub(b.notBefore) > probationWait {
		b.since, b.failures = now, 0 // nobody asked for a while: what failed then says nothing about now
	}
	b.failures++
	b.code, b.latest = v.Code, now
	b.notBefore = now.Add(s.backoff.delay(b.failures, v.Wait))
	if b.failures == 2 && !b.logged {
		b.logged = true
		s.log.Warn("the backend does not say which applications it knows: what is not proven waits, then travels alone",
			zap.String("service_id", l.key.ServiceID), zap.String("code", v.Code), zap.Time("since", b.since), zap.Error(f.Err))
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

// blindness is what keeps a lane's questions from being answered. Its zero value: nothing does.
type blindness struct {
	code      string
	since     time.Time // of the first failure
	latest    time.Time // of the last
	notBefore time.Time // no question earlier
	failures  int       // in a row
	logged    bool
	trial     bool // a batch was divided to see whether reports get through
}

func (b *blindness) exists() bool { return b.failures > 0 }

// lasting reports whether questions went on failing for so long that nobody waits for the end of it.
func (b *blindness) lasting() bool {
	return b.exists() && b.latest.Sub(b.since) >= probationWait
}
