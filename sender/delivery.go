package sender

import (
	"context"
	"errors"
	"maps"
	"math/bits"
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// delivery is one attempt at one batch, from the disk to the settlement. One goroutine has it.
type delivery struct {
	*Sender
	*flight
	batch *spool.Batch
	tried bool // it was attempted before
	began time.Time
	sent  time.Time // when the call was made

	window  window       // of timestamps that may be sent
	fresh   []int        // indices of the transactions that are sent
	stale   []int        // of those too old to be
	waiting []int        // of those too far ahead to be sent yet, or that the backend would drop by its own clock
	late    map[int]bool // of those sent, the ones that are too old for their own timestamp
	riding  *riding      // what the report carries beside its usage; nil: nothing
	unnamed []func(bool) // end what proof.Name noted: whether the backend may have taken the report
	landed  bool         // it may have
}

// attempt makes one attempt at one batch and settles what came of it. What keeps it from being made
// is trouble of the lane, except for damage, which concerns this batch alone.
func (s *Sender) attempt(ctx context.Context, f *flight, tried bool, now time.Time) {
	l, id := f.lane, f.id
	b, err := s.spool.Load(id)
	switch {
	case errors.Is(err, spool.ErrUnknownBatch):
		return
	case errors.Is(err, spool.ErrDamaged):
		s.lose(ctx, l, id, err)
		return
	case err != nil:
		s.setback(l, now, Verdict{Kind: Retry, Code: badDisk}, err)
		return
	}
	d := &delivery{Sender: s, flight: f, batch: b, tried: tried, began: now}
	defer func() {
		for _, ended := range d.unnamed {
			ended(d.landed)
		}
	}()
	d.sort()
	if len(d.waiting) > 0 {
		d.holdBack(ctx)
		return
	}
	if len(d.fresh) == 0 {
		d.resolve(ctx, spool.Resolution{})
		return
	}
	if !d.separate(ctx) && d.admitted(ctx) && d.clockShown(ctx) && d.fits(ctx) && d.ride(ctx) {
		d.send(ctx)
	}
}

// sort divides the transactions into those that may be sent, those whose timestamp the backend would find
// too old by the time its worker gets to them, and those that have to wait.
func (d *delivery) sort() {
	d.window = d.windowAt(d.began)
	for i := range d.batch.Transactions {
		switch d.window.of(d.batch.Transactions[i].Timestamp) {
		case fits:
			d.fresh = append(d.fresh, i)
		case tooNew, tooSoon:
			d.waiting = append(d.waiting, i)
		case tooOld:
			if !d.options.Restamp {
				d.stale = append(d.stale, i)
				continue
			}
			if d.late == nil {
				d.late = make(map[int]bool)
			}
			d.fresh, d.late[i] = append(d.fresh, i), true
		}
	}
}

// restamped reports whether a transaction is sent with the time of the attempt.
func (d *delivery) restamped(i int) bool { return d.late[i] }

// send makes the call, once it is on disk that it will be made, and settles the answer.
func (d *delivery) send(ctx context.Context) {
	c, ok := d.credentialsNow()
	if !ok {
		d.withdraw()
		d.setback(d.lane, d.began, Verdict{Kind: Hold, Code: noCredentials}, nil)
		return
	}
	if err := d.recordAttempt(); err != nil {
		d.withdraw()
		d.setback(d.lane, d.began, Verdict{Kind: Retry, Code: badDisk}, err)
		return
	}
	d.options.Sending(d.batch, d.fresh)
	// A stop does not cancel a report in flight: that would make it ambiguous. The client's timeout
	// bounds it.
	d.sent = time.Now()
	answer, err := d.client.Report(context.WithoutCancel(ctx), d.report(c))
	o := Outcome{Answer: answer, Err: err}
	v := Judge(o)
	d.counts.answered(v, answer, d.sent, time.Now())
	d.weigh(v)
	if current, _ := d.credentialsNow(); v.Kind == Hold && current != c {
		v = Verdict{Kind: Retry, Code: v.Code} // a reload came in between: what was said is about other credentials
	}
	d.settle(ctx, v, o)
}

// credentialsNow returns what opens the lane now.
func (d *delivery) credentialsNow() (threescale.Credentials, bool) {
	return d.Sender.credentialsOf(d.batch.Lane)
}

func (s *Sender) credentialsOf(k spool.LaneKey) (threescale.Credentials, bool) {
	if !k.Credentials.IsZero() {
		return k.Credentials, true
	}
	c, ok := s.credentials(k.ServiceID)
	return c, ok && !c.IsZero()
}

// report is the call's body: the fresh transactions.
func (d *delivery) report(c threescale.Credentials) *threescale.Report {
	r := &threescale.Report{
		ServiceID: d.batch.Lane.ServiceID, Credentials: c, FlatUsage: d.batch.FlatUsage,
	}
	if d.riding != nil {
		d.riding.load(r, d.transaction)
		return r
	}
	r.Transactions = make([]threescale.Transaction, len(d.fresh))
	for n := range d.fresh {
		r.Transactions[n] = d.transaction(n)
	}
	return r
}

// transaction is the nth of those that are sent.
func (d *delivery) transaction(n int) threescale.Transaction {
	t := d.batch.Transactions[d.fresh[n]].Transaction
	if d.restamped(d.fresh[n]) {
		t.Timestamp = d.window.stamp().Unix()
	}
	return t
}

// taken is the end of what is sent, when the backend took it.
func (d *delivery) taken() spool.Resolution {
	return spool.Resolution{Delivered: d.fresh, Restamped: slices.Sorted(maps.Keys(d.late)), At: d.window.stamp()}
}

// settle does what the verdict says.
func (d *delivery) settle(ctx context.Context, v Verdict, o Outcome) {
	if v.refusesTimestamp() && d.waitsNow() {
		v.Kind = Retry // the refusal has shown the backend's clock
	}
	d.landed = v.Kind != Retry && v.Kind != Hold
	switch v.Kind {
	case Delivered:
		d.makeRoom(d.flight)
		if d.riding != nil {
			d.sentWithReceipt(ctx)
		} else if d.nameUnseen(ctx) && d.resolve(ctx, d.taken()) {
			d.countUnseen()
			d.counts.delivered.Add(uint64(len(d.fresh)))
			d.countRestamped()
		}
		d.recovered(d.lane)
	case Split, Bisect:
		if v.Kind == Split {
			d.caps.learn(d.size(), o.Answer, d.began)
		} else {
			d.revoke(o.Answer)
		}
		d.endReceipt(ctx)
		d.divide(ctx, v, o.Answer)
		d.recovered(d.lane)
	case Ambiguous:
		d.persist(ctx, "ambiguous", d.lane, func() error { return d.spool.Ambiguous(d.batch.ID) })
		d.unknownWithReceipt()
		d.setback(d.lane, d.began, v, o.Err)
		d.sayParked(v)
	default:
		d.notCounted(ctx)
		d.options.Settled(d.batch, spool.Resolution{})
		if v.Kind == Hold && o.Answer != nil {
			d.options.Refused(d.batch.Lane, o.Answer.Status, o.Answer.Code)
		}
		d.setback(d.lane, d.began, v, o.Err)
	}
}

// divide splits a batch that is not taken as it is. A transaction alone is what the backend refuses, and
// becomes a dead letter.
func (d *delivery) divide(ctx context.Context, v Verdict, a *threescale.Answer) {
	if n := len(d.fresh); n > 1 {
		d.resolve(ctx, spool.Resolution{Children: d.parts(2)})
		return
	}
	d.resolve(ctx, spool.Resolution{Dead: []spool.DeadLetter{{
		Index:  d.fresh[0],
		Reason: spool.Reason{Code: v.Code, Message: a.Text},
		Answer: spool.Answer{Status: a.Status, Code: a.Code},
	}}})
}

// resolve ends the batch as r says, and makes dead letters of the stale transactions. It reports whether
// that is on disk.
func (d *delivery) resolve(ctx context.Context, r spool.Resolution) bool {
	for _, i := range d.stale {
		r.Dead = append(r.Dead, spool.DeadLetter{Index: i, Reason: d.expiry(i)})
	}
	settled := d.options.Settling()
	if !d.persist(ctx, "resolve", d.lane, func() error { return d.spool.Resolve(d.batch.ID, r) }) {
		settled()
		return false
	}
	d.options.Settled(d.batch, r)
	settled()
	d.counts.resolved(d.batch, r)
	d.mu.Lock()
	d.releaseLocked(d.batch.ID)
	d.mu.Unlock()
	d.count(r.Dead)
	return true
}

// parts divides what is sent into n parts of the same size, or more when the batch was split so often
// that halves would not lead to single transactions any more.
func (d *delivery) parts(n int) [][]int {
	left := spool.MaxSplits - d.batch.ID.Splits()
	if bits.Len(uint(len(d.fresh))) >= left {
		n = spool.MaxChildren
	}
	n = min(n, len(d.fresh), spool.MaxChildren)
	parts := make([][]int, n)
	for i := range parts {
		parts[i] = d.fresh[i*len(d.fresh)/n : (i+1)*len(d.fresh)/n]
	}
	return parts
}

// countRestamped counts what was delivered with another timestamp than its own.
func (d *delivery) countRestamped() {
	for i := range d.late {
		d.counts.restamped.Add(1)
		d.counts.restampedEvents.Add(uint64(d.batch.Transactions[i].Events))
	}
}

// count adds dead letters to what the log will say of the lane.
func (d *delivery) count(letters []spool.DeadLetter) {
	if len(letters) == 0 {
		return
	}
	events := 0
	for i := range letters {
		events += int(d.batch.Transactions[letters[i].Index].Events)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lane.dead.add(d.log, time.Now(), d.lane.key.ServiceID, letters[0].Reason.Code, len(letters), events)
}
