// Package sender delivers sealed batches to the backend, for as long as that takes.
//
// Every service with its credentials has a lane, and a lane in trouble delays itself alone. An attempt
// is on disk before it is made; its outcome is judged by a pure function, Judge; and a batch leaves the
// spool only when each of its transactions is delivered, a dead letter, or part of another batch.
// Nothing is dropped: what the backend will never take becomes a dead letter with the reason.
//
// There is no idempotency key, so a report whose outcome is unknown may be counted twice when it is
// repeated. Such attempts are counted as ambiguous, a report in flight is never cancelled by a stop, and
// a lane in trouble repeats one batch, not all it has.
package sender

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/sender/proof"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// Policy says what to do with a batch that the backend may or may not have counted.
type Policy uint8

// The policies. The zero value is the default.
const (
	RetryAmbiguous Policy = iota // send it again: it is counted at least once, and sometimes twice
	ParkAmbiguous                // keep it until an operator decides: see Parked and Unpark
	// ReceiptAmbiguous sends it again only when its receipt shows that nothing of it was counted. A report of a service with receipts
	// that carried none is kept as with ParkAmbiguous; that of another service is sent again as with RetryAmbiguous.
	ReceiptAmbiguous
)

// Options are how a Sender behaves. The zero value has the documented defaults.
type Options struct {
	Spool  *spool.Spool       // whose sealed batches are delivered
	Client *threescale.Client // to which they are delivered
	Log    *zap.Logger
	// Credentials returns what is configured for a service now. It is called before each attempt of a batch that has no
	// credentials of its own, possibly concurrently, and must not block.
	Credentials func(serviceID string) (threescale.Credentials, bool)

	MaxInFlight   int           // the most reports in flight over all lanes; 0: 8
	OnAmbiguous   Policy        // what to do when the outcome is unknown, and no receipt will show it
	Restamp       bool          // send what is too old with the time of the attempt, instead of burying it
	ExpiredMargin time.Duration // below 24 h, the age at which a transaction is not sent any more; 0: 1 min
	FutureMargin  time.Duration // below 1 h, how far ahead a transaction may be when it is sent; 0: 1 min
	BackoffBase   time.Duration // the most to wait after a first failure; 0: 250 ms
	BackoffMax    time.Duration // the most to wait after many; 0: 30 s
	HoldPoll      time.Duration // how often a held lane is tried, about; 0: 30 s

	// Sending and Settled, when not nil, follow usage on its way. Sending is called before a report is
	// sent, with the indices of the transactions in it. Settled is called once its outcome is known and
	// recorded: an empty Resolution says that the backend counted nothing and all of it will be sent
	// again. While the outcome is unknown it is not called.
	Sending func(b *spool.Batch, sent []int)
	Settled func(b *spool.Batch, r spool.Resolution)

	// Receipts are the services whose reports carry receipts, which say what 3scale counted. A batch of such a service
	// stays pending after 3scale took its report until its receipt says that it was counted, and OnAmbiguous does not
	// concern a report that carries one.
	Receipts map[string]Receipts

	// Settling, when not nil, is called before an outcome is recorded, and what it returns once Settled was called for it: in
	// between, record and Settled do not agree.
	Settling func() (settled func())

	// Refused, when not nil, is told when the backend refuses a report for the credentials of its lane, with its status and code.
	Refused func(k spool.LaneKey, status int, code string)

	// Proofs say which applications and metrics may share a report, Prober asks about the rest. A caller that
	// makes them runs the Prober. Both nil: everything may.
	Proofs *proof.Proofs
	Prober *proof.Prober
}

// defaultMargin is what a transaction keeps of its 24 hours for the backend's own queue, whose worker compares the
// timestamp when it gets to it, and for the difference between the clocks. It is short, because what it keeps back is
// certainly not counted; a worker that is further behind harms only what is as old: see separate. Ahead of time the
// margin is for the clocks alone.
const defaultMargin = time.Minute

func (o Options) withDefaults() Options {
	if o.MaxInFlight <= 0 {
		o.MaxInFlight = 8
	}
	if o.ExpiredMargin <= 0 {
		o.ExpiredMargin = defaultMargin
	}
	if o.FutureMargin <= 0 {
		o.FutureMargin = defaultMargin
	}
	if o.BackoffBase <= 0 {
		o.BackoffBase = 250 * time.Millisecond
	}
	if o.BackoffMax <= 0 {
		o.BackoffMax = 30 * time.Second
	}
	if o.HoldPoll <= 0 {
		o.HoldPoll = 30 * time.Second
	}
	if o.Sending == nil {
		o.Sending = func(*spool.Batch, []int) {}
	}
	if o.Settled == nil {
		o.Settled = func(*spool.Batch, spool.Resolution) {}
	}
	if o.Refused == nil {
		o.Refused = func(spool.LaneKey, int, string) {}
	}
	if o.Settling == nil {
		o.Settling = func() func() { return func() {} }
	}
	return o
}

// Sender delivers what the spool has sealed. Its methods may be called concurrently.
type Sender struct {
	spool       *spool.Spool
	client      *threescale.Client
	credentials func(serviceID string) (threescale.Credentials, bool)
	log         *zap.Logger
	options     Options
	backoff     backoff

	wake    chan struct{} // holds one: something changed that Run should look at
	flights sync.WaitGroup
	counts  *counts
	waiting atomic.Int64 // batches of configured services

	caps caps

	keepers      map[string]*keeper // by service; those with receipts
	keepersErr   error              // why the receipts of before the start cannot be read
	named        namedEnds          // of reports that were not counted whole and once
	receiptsFile sync.Mutex         // held while the file of kept receipts is written

	mu         sync.Mutex // guards what follows, the lanes included
	lanes      map[spool.LaneKey]*lane
	probations map[spool.BatchID]*probation
	clock      clockWatch
	aside      aside // of them, those that are set aside
	schedule   *schedule
	limit      limit
	breaker    breaker
	inFlight   int     // attempts under way whose report has no answer yet
	recording  int     // attempts under way whose report was taken: see makeRoom
	inTrouble  int     // attempts under way of lanes in trouble
	passedOn   int     // attempts under way of lanes with credentials that reporters sent
	own        []*lane // those of services with configured credentials, since the start; they stay

	passedOnLanes passedOnLanes // figures of the rest

	failures uint64 // attempts and questions that failed, since the start
	full     full
	picks    uint64
	progress chan struct{} // closed and replaced whenever an attempt came to an end
}

// New returns a Sender that does nothing before Run.
func New(o Options) *Sender {
	o = o.withDefaults()
	made := &Sender{
		spool: o.Spool, client: o.Client, credentials: o.Credentials, log: o.Log, options: o,
		backoff:    backoff{Base: o.BackoffBase, Max: max(o.BackoffMax, o.BackoffBase)},
		wake:       make(chan struct{}, 1),
		lanes:      make(map[spool.LaneKey]*lane),
		probations: make(map[spool.BatchID]*probation),
		limit:      newLimit(o.MaxInFlight),
		progress:   make(chan struct{}),
		counts:     newCounts(),
		schedule:   newSchedule(),
	}
	made.keepersErr = made.openReceipts(time.Now())
	return made
}

// Run delivers until ctx ends. Then it begins no attempt, waits for the reports in flight (the client's
// timeout bounds that), records their outcome and returns nil. It is called once.
func (s *Sender) Run(ctx context.Context) error {
	if s.keepersErr != nil {
		return s.keepersErr
	}
	defer s.flights.Wait()
	s.flights.Go(func() { s.watchClock(ctx) })
	for _, k := range s.keepers {
		s.flights.Go(func() { k.run(ctx) })
	}
	for {
		changed := s.spool.Changed()
		next := s.launch(ctx)
		if !s.sleep(ctx, changed, next) {
			return nil
		}
	}
}

// sleep waits until something happens or next has come; zero is never. It reports whether to go on.
func (s *Sender) sleep(ctx context.Context, changed <-chan struct{}, next time.Time) bool {
	var alarm <-chan time.Time
	if !next.IsZero() {
		timer := time.NewTimer(time.Until(next))
		defer timer.Stop()
		alarm = timer.C
	}
	select {
	case <-ctx.Done():
		return false
	case <-changed:
	case <-s.wake:
	case <-alarm:
	}
	return ctx.Err() == nil
}

// launch starts every attempt that may be made now, and returns when to look again; zero: not before
// something happens.
func (s *Sender) launch(ctx context.Context) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.recallDueLocked(now)
	s.refreshLocked(now)
	for ctx.Err() == nil {
		l, b := s.pickLocked(now)
		if b == nil {
			break
		}
		s.startAttemptLocked(ctx, l, *b, now)
	}
	return s.nextAttemptLocked(now)
}

// pickLocked returns the batch to try next: of the lanes that may, the one with the fewest reports in flight,
// and of these the one that waited longest; those of configured services first. Lanes in trouble share half of the room, so that
// many of them cannot keep a healthy one waiting; and while the breaker is open they share one call. Where services are
// configured, lanes with credentials that reporters sent share three quarters of the room.
func (s *Sender) pickLocked(now time.Time) (*lane, *spool.BatchInfo) {
	if s.inFlight >= s.limit.room() {
		return nil, nil
	}
	troubled := s.mayTryTroubledLocked(now)
	for {
		best := s.firstLocked(troubled)
		if best == nil {
			return nil, nil
		}
		if b := best.ready(now); b != nil {
			return best, b
		}
		s.schedule.remove(best) // not ready any more: its next change places it again
	}
}

// firstLocked returns the lane that comes first, or nil. One of those that are passed on has its turn among the configured ones
// while none of them is in flight, so that none waits for ever. The mutex is held.
func (s *Sender) firstLocked(troubled bool) *lane {
	best, passes := s.schedule.ready.top(), s.mayTryPassedOnLocked()
	if l := s.schedule.readyPassedOn.top(); l != nil && passes && (best == nil || s.passedOn == 0 && l.rank.waitedLonger(best.rank)) {
		best = l
	}
	if l := s.schedule.readyTroubled.top(); l != nil && troubled && (passes || !l.rank.passedOn) && (best == nil || l.rank.before(best.rank)) {
		best = l
	}
	return best
}

// mayTryPassedOnLocked reports whether one more lane with credentials that a reporter sent may try. The mutex is held.
func (s *Sender) mayTryPassedOnLocked() bool {
	return len(s.own) == 0 || s.passedOn < max(1, s.limit.room()*3/4)
}

// mayTryTroubledLocked reports whether one more lane in trouble may try. The mutex is held.
func (s *Sender) mayTryTroubledLocked(now time.Time) bool {
	if s.breaker.open {
		return s.inTrouble == 0 && !now.Before(s.breaker.notBefore)
	}
	return s.inTrouble < max(1, s.limit.room()/2)
}

// progressedLocked wakes those who wait for attempts to end. The mutex is held.
func (s *Sender) progressedLocked() {
	close(s.progress)
	s.progress = make(chan struct{})
}

// nextAttemptLocked is the earliest moment at which a waiting lane may try, or a batch in probation is due; zero
// if nothing waits for time to pass.
func (s *Sender) nextAttemptLocked(now time.Time) (next time.Time) {
	next = s.aside.next()
	consider := func(at time.Time) {
		if at.After(now) && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	var breaker time.Time // lanes in trouble may not try earlier
	if s.breaker.open {
		breaker = s.breaker.notBefore
	}
	if l := s.schedule.waiting.top(); l != nil {
		consider(l.due)
	}
	if l := s.schedule.waitingTroubled.top(); l != nil {
		consider(latest(l.due, breaker))
	}
	if s.schedule.readyTroubled.top() != nil {
		consider(breaker)
	}
	return next
}

// poke makes Run look again.
func (s *Sender) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// share is how many reports one lane may have in flight: all but a quarter of the room, which is left
// for lanes that have none yet.
func (s *Sender) share() int { return max(1, s.limit.room()*3/4) }

// Kick makes the lane of a configured service try at once, because its credentials may have changed.
func (s *Sender) Kick(serviceID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if l := s.lanes[spool.LaneKey{ServiceID: serviceID}]; l != nil {
		s.hastenLocked(l, now)
	}
	s.poke()
}

// hastenLocked lets a lane try from a moment on. The mutex is held.
func (s *Sender) hastenLocked(l *lane, at time.Time) {
	l.notBefore, l.probing.notBefore = at, at
	s.schedule.touch(l)
	if l.awaitingProof == 0 {
		return
	}
	for w := range l.aside {
		if w.wanted && w.asking == 0 {
			s.aside.put(w, at)
		}
	}
}
