package sender

import (
	"context"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/outage"
	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

const (
	clockAsked   = 10 * time.Second // how often the backend's clock is asked for while usage waits for it
	clockTimeout = 5 * time.Second  // for one such call
	clockMoved   = 30 * time.Second // by how much it must have changed for what waits to be looked at again
)

// clockWatch is what the Sender knows of usage that waits for the backend's clock. The Sender's mutex guards it.
type clockWatch struct {
	done  chan struct{}            // closed at the end of the call before the first report; nil: not begun
	about threescale.AuthorizeCall // of what waits: asked where nothing is known that shows the clock
	seen  threescale.Skew          // by which it was looked at last

	waiting int // batches that wait for the clock
}

// wait notes whether a batch waits for the clock. The Sender's mutex is held.
func (c *clockWatch) wait(w *probation, waits bool) {
	switch {
	case waits && !w.clock:
		c.waiting++
	case w.clock && !waits:
		c.waiting--
	}
	w.clock = waits
}

func newClockOutage(log *zap.Logger) *outage.Outage {
	return outage.New(outage.Options{
		Log: log, BeginLevel: zap.ErrorLevel, EndLevel: zap.WarnLevel,
		Begin: "usage waits, since 3scale would drop it by its clock: set the clocks right, of 3scale or of this machine",
		End:   "no usage waits for 3scale's clock any more",
	})
}

// clockShown reports whether the attempt may go on. Before the first report of a life, an authorization that uses nothing
// is asked for, unless one was answered already: it may show that the backend's clock is wrong. All attempts wait for its
// answer, for clockTimeout at most. When it shows something that matters, the batch is looked at anew.
func (d *delivery) clockShown(ctx context.Context) bool {
	clock := d.client.Clock()
	if d.options.Prober == nil || clock.Asked() || clock.Skew(d.began).Known {
		return true
	}
	d.mu.Lock()
	first := d.clock.done == nil
	if first {
		d.clock.done = make(chan struct{})
	}
	done := d.clock.done
	d.mu.Unlock()
	if first {
		denied := d.askClock(ctx, d.clockCall())
		close(done)
		if denied {
			return false
		}
	}
	select {
	case <-ctx.Done():
		return false
	case <-done:
	}
	return d.windowAt(time.Now()).ahead == 0
}

// clockCall is an authorization of the batch's first application.
func (d *delivery) clockCall() threescale.AuthorizeCall {
	c, _ := d.credentialsNow()
	return threescale.AuthorizeCall{
		ServiceID: d.batch.Lane.ServiceID, Credentials: c, Application: d.batch.Transactions[0].Application,
	}
}

// waitsNow reports whether the report had one transaction, and by what is known of the backend's clock now that waits.
func (d *delivery) waitsNow() bool {
	w := d.windowAt(time.Now())
	return len(d.fresh) == 1 && w.byBackend(d.batch.Transactions[d.fresh[0]].Timestamp)
}

// askClock makes a call whose answer may show the backend's clock; the client learns it. An error needs no care: reports
// meet it, too. A denial ends the application's proof, and is reported.
func (s *Sender) askClock(ctx context.Context, call threescale.AuthorizeCall) (denied bool) {
	ctx, cancel := context.WithTimeout(ctx, clockTimeout)
	defer cancel()
	answer, err := s.client.Authorize(ctx, &call)
	if err != nil || answer.Code != threescale.CodeApplicationNotFound && answer.Code != threescale.CodeUserKeyInvalid {
		return false
	}
	if s.options.Proofs != nil {
		scope := proof.Scope{ServiceID: call.ServiceID, Credentials: call.Credentials}
		s.options.Proofs.Deny(scope, call.Application, "", proof.Refusal{Status: answer.Status, Code: answer.Code, Text: answer.Text}, time.Now())
	}
	return true
}

// watchClock asks for the backend's clock while usage waits for it, says so, and has all of it looked at again when the
// clock was set. It ends with ctx.
func (s *Sender) watchClock(ctx context.Context) {
	said := newClockOutage(s.log)
	ticker := time.NewTicker(clockAsked)
	defer ticker.Stop()
	for turn := 0; ; turn++ {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		batches, about := s.waitForClock()
		if batches == 0 {
			said.Worked()
			continue
		}
		call, known := s.client.Clock().Source()
		if !known || turn%2 == 1 {
			call = about
		}
		said.Failed(fmt.Errorf("sender: send %d batches: 3scale's clock %s", batches, clockText(s.client.Clock().Skew(time.Now()))))
		s.askClock(ctx, call)
		s.reviewClock(time.Now())
	}
}

// waitForClock returns how many batches wait for the backend's clock, and a call about one of them.
func (s *Sender) waitForClock() (batches int, about threescale.AuthorizeCall) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.clock.waiting, s.clock.about
}

// reviewClock looks again at what waits for the backend's clock, if that is known to be another now.
func (s *Sender) reviewClock(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	skew := s.client.Clock().Skew(now)
	if skew.Known == s.clock.seen.Known && (skew.Ahead()-s.clock.seen.Ahead()).Abs() < clockMoved && (skew.Least-s.clock.seen.Least).Abs() < clockMoved {
		return
	}
	s.clock.seen = skew
	for _, w := range s.probations {
		if w.clock && !w.due.IsZero() {
			s.aside.put(w, now)
		}
	}
	s.poke()
}

// clockText says how the backend's clock differs from ours.
func clockText(s threescale.Skew) string {
	switch ahead := s.Ahead(); {
	case !s.Known:
		return "is not known"
	case ahead > 0:
		return fmt.Sprintf("is ahead of this one by %v at least", ahead.Truncate(time.Second))
	case ahead < 0:
		return fmt.Sprintf("is behind this one by %v at least", -ahead.Truncate(time.Second))
	}
	return "agrees with this one"
}

// holdBack keeps back what does not fit the window: what is too far ahead, because the clock was when it was accepted, and
// what the backend would drop by its own clock. The backend drops a report whole for it. The rest does not wait. Those kept
// back wait together, until all of them can be sent, so that a batch is not split for each of them.
func (d *delivery) holdBack(ctx context.Context) {
	if len(d.fresh)+len(d.stale) > 0 && d.batch.ID.Splits() < probationSplits {
		r := spool.Resolution{Children: [][]int{d.waiting}}
		if len(d.fresh) > 0 {
			r.Children = append(r.Children, d.fresh)
		}
		d.resolve(ctx, r)
		return
	}
	due, clock := d.began, false
	for _, i := range d.waiting {
		at := d.batch.Transactions[i].Timestamp
		due, clock = latest(due, d.window.opens(at)), clock || d.window.byBackend(at)
	}
	if latest := d.began.Add(deferralMax); due.After(latest) {
		due = latest
	}
	w, about := d.probation(), d.clockCall()
	d.mu.Lock()
	defer d.mu.Unlock()
	d.setAsideLocked(d.batch.ID, w, due, false)
	if d.clock.wait(w, clock); clock {
		d.clock.about = about
		if !d.clock.seen.Known {
			d.clock.seen = d.client.Clock().Skew(d.began)
		}
	}
}

const deferralMax = 10 * time.Minute // after which what waits is looked at again at the latest: clocks change
