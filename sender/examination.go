package sender

import (
	"context"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

const (
	probationWait   = 10 * time.Second // that a batch waits for its questions before its proven part leaves
	probationSplits = 8                // of a batch in parts; deeper ones wait until all is decided
	urgency         = 10 * time.Minute // before a transaction is too old to be sent: no time for questions
	mostQuestioning = 32               // batches of one lane that wait for answers at a time
)

// examination divides the transactions of a batch by what is known of their applications and metrics.
type examination struct {
	slices    []spool.Slice // of transactions whose metrics do not stand alike
	proven    []int
	waiting   []int // denied, but not for long enough; or not settled
	unknown   []int
	alone     []int
	dead      []spool.DeadLetter
	questions []proof.Question
	at        time.Time // when to look at those waiting again
}

// examine asks the proofs about every transaction that would be sent.
func (d *delivery) examine(s proof.Scope) *examination {
	x := &examination{}
	q := d.options.Proofs.Lookup(s, d.batch.Sealed, d.began)
	if d.options.Prober.HasRoom() {
		q.Among(len(d.fresh))
	}
	for _, i := range d.fresh {
		o := q.Assess(&d.batch.Transactions[i].Transaction)
		if x.slice(q, i, &d.batch.Transactions[i], len(d.batch.Transactions), o) {
			continue
		}
		switch o.State {
		case proof.Proven:
			x.proven = append(x.proven, i)
		case proof.Waiting, proof.Unknown:
			x.waits(o, i)
		case proof.Unaskable:
			x.alone = append(x.alone, i)
		case proof.Refused:
			x.dead = append(x.dead, refusedLetter(i, o.Refusal))
		}
		x.questions = append(x.questions, o.Questions...)
	}
	return x
}

// clean reports whether everything is proven. That a transaction has a proven part is not enough.
func (x *examination) clean() bool {
	return len(x.waiting)+len(x.unknown)+len(x.alone)+len(x.dead) == 0
}

// lonely reports whether nothing in the batch is proven, and nothing is known to be bad: it may travel as
// it is if it is about one application.
func (x *examination) lonely(tried bool) bool {
	return len(x.alone) > 0 && len(x.proven)+len(x.dead) == 0 && (tried || len(x.waiting)+len(x.unknown) == 0)
}

// admitted reports whether the batch may be sent as it is: everything in it is proven, or it is about one
// application only. Otherwise it was set aside, or divided. A batch that was attempted before was proven
// then, and may have been counted: it is not divided because the proofs ran out or were lost, so that a
// repetition is one.
func (d *delivery) admitted(ctx context.Context) bool {
	c, ok := d.credentialsNow()
	if d.options.Proofs == nil || !ok {
		return true
	}
	s := proof.Scope{ServiceID: d.batch.Lane.ServiceID, Credentials: c}
	x := d.examine(s)
	if x.clean() {
		d.renew(s, x)
		return true
	}
	w := d.probation()
	if d.hurried(d.fresh) {
		x.alone = append(x.alone, x.unknown...)
		x.unknown = nil
	} else if len(x.unknown) > 0 {
		switch blind := d.probeFailing(); {
		case blind && !d.tried:
			x.alone = append(x.alone, x.unknown...)
			x.unknown = nil
		case d.tried, d.began.Before(w.since.Add(d.probationWait())):
			d.ask(s, x, w)
			return false
		}
	}
	if x.lonely(d.tried) && d.single() {
		d.name(s)
		return true
	}
	d.part(ctx, s, x, w)
	return false
}

// probationWait is how long questions are waited for; what was waited for before can wait longer.
func (d *delivery) probationWait() time.Duration {
	return probationWait << min(d.batch.ID.Splits(), 3)
}

// hurried reports whether one of the transactions will soon be too old to be sent.
func (d *delivery) hurried(indices []int) bool {
	soon := d.window.end() + int64(urgency/time.Second)
	for _, i := range indices {
		if at := d.batch.Transactions[i].Timestamp; at != 0 && at < soon && !d.restamped(i) {
			return true
		}
	}
	return false
}

// probeFailing reports whether reports get through and questions have not for a while, so that waiting would be
// in vain. When it is time to ask again, one of its batches does. As long as no report got through
// either, one batch is divided to find out, and no other.
func (d *delivery) probeFailing() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	b := &d.lane.probing
	if !b.lasting() || d.lane.trouble.exists() || !d.began.Before(b.notBefore) {
		return false
	}
	if d.lane.answered.After(b.since) || d.single() {
		return true
	}
	first := !b.trial
	b.trial = true
	return first
}

// single reports whether what would be sent is about one application.
func (d *delivery) single() bool {
	for _, i := range d.fresh {
		if d.batch.Transactions[i].Application != d.batch.Transactions[d.fresh[0]].Application {
			return false
		}
	}
	return true
}

// name tells the proofs that unproven applications and metrics are about to be named in a report.
func (d *delivery) name(s proof.Scope) {
	for _, i := range d.fresh {
		d.unnamed = append(d.unnamed, d.options.Proofs.Name(s, &d.batch.Transactions[i].Transaction, d.began))
	}
	d.counts.alone.Add(1)
}

// renew asks for what will soon not be proven any more, or should be younger since much shares the report.
func (d *delivery) renew(s proof.Scope, x *examination) {
	if len(x.questions) > 0 {
		d.options.Prober.Ask(s, d.origin(), x.questions, nil)
	}
}

// part ends the batch in parts: what was refused for long enough is dead, what is proven goes on
// together, what cannot be proven goes on by application, and the rest waits apart.
func (d *delivery) part(ctx context.Context, s proof.Scope, x *examination, w *probation) {
	rest := append(append([]int(nil), x.waiting...), x.unknown...)
	gained := len(x.proven) + len(x.alone) + len(x.dead)
	if len(rest) > 0 && (gained == 0 || d.tried && len(x.alone) == 0 || d.batch.ID.Splits() >= probationSplits) {
		d.linger(s, x, w)
		return
	}
	r := spool.Resolution{Dead: x.dead, Slices: x.slices}
	if err := r.Apply(d.batch); err != nil {
		d.log.Error("a batch is not divided as it was meant to be", zap.Error(err))
		d.linger(s, x, w)
		return
	}
	for _, child := range [][]int{x.proven, rest} {
		if len(child) > 0 {
			r.Children = append(r.Children, child)
		}
	}
	r.Children = append(r.Children, d.byApplication(x.alone, spool.MaxChildren-len(r.Children))...)
	d.resolve(ctx, r)
}

// byApplication divides transactions into at most so many groups, none of which shares an application
// with another. Groups of several applications are divided again when their turn comes.
func (d *delivery) byApplication(indices []int, most int) [][]int {
	seen := make(map[threescale.Application]int)
	for _, i := range indices {
		a := d.batch.Transactions[i].Application
		if _, known := seen[a]; !known {
			seen[a] = len(seen)
		}
	}
	groups := make([][]int, min(most, len(seen)))
	for _, i := range indices {
		n := seen[d.batch.Transactions[i].Application] % len(groups)
		groups[n] = append(groups[n], i)
	}
	return groups
}
