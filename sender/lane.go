package sender

import (
	"time"

	"github.com/reporterd/reporterd/spool"
)

// lane is what goes out for one service with one set of credentials. A lane in trouble waits by itself
// and sends one report at a time, so it delays no other lane. The Sender's mutex guards it.
type lane struct {
	key      spool.LaneKey
	head     []spool.BatchInfo // live batches that are not set aside, the earliest deadline first
	fresh    []spool.BatchInfo // of a lane with a backlog, the latest ones, the last first
	inFlight map[spool.BatchID]struct{}

	allowance int    // how many may be in flight; grows with each delivery, one in trouble
	picked    uint64 // when it was last, in picks
	picks     uint64 // how often it was

	trouble   trouble
	failures  uint64    // attempts and questions that failed, ever: see flush
	notBefore time.Time // no attempt earlier
	floor     time.Time // before this the backend asked not to be called
	recovered time.Time // when the last trouble ended
	answered  time.Time // when a report got through last

	probing       probeTrouble
	asking        int                     // sets of questions under way
	awaitingProof int                     // batches set aside for want of an answer
	aside         map[*probation]struct{} // batches set aside, for any reason

	dead logLimiter

	batches int // of a configured service: live ones, as far as they are in the Sender's waiting

	placement         // in the Sender's schedule
	counted   counted // in the Sender's passedOnLanes
}

func newLane(key spool.LaneKey) *lane {
	return &lane{key: key, inFlight: make(map[spool.BatchID]struct{}), aside: make(map[*probation]struct{}), allowance: 1}
}

// trouble is what keeps a lane from delivering. Its zero value: nothing does.
type trouble struct {
	kind     Kind // Hold, Retry or Ambiguous
	code     string
	since    time.Time // of the first failure
	latest   time.Time // of the latest
	failures int       // in a row
	logged   bool
}

func (t *trouble) exists() bool { return t.failures > 0 }

// freshShare is which part of a lane's attempts goes to its latest batches while it has a backlog.
const freshShare = 4

// freshAfter is how much later than the first batch a batch must have been sealed to be called fresh.
const freshAfter = 10 * time.Second

// ready returns the batch that may be tried now, or nil: the one with the earliest deadline, and of a
// lane with a backlog now and then the latest one, which would otherwise wait until all is drained.
func (l *lane) ready(now time.Time) *spool.BatchInfo {
	if now.Before(l.notBefore) || len(l.inFlight) >= l.allowance || l.awaitingProof >= mostQuestioning {
		return nil
	}
	if l.trouble.exists() && (len(l.inFlight) > 0 || l.asking > 0) {
		return nil
	}
	if l.picks%freshShare == freshShare-1 && !l.trouble.exists() {
		if b := l.first(l.fresh); b != nil && b.Sealed.Sub(l.head[0].Sealed) > freshAfter {
			return b
		}
	}
	return l.idle()
}

// idle returns the first batch that is not in flight, or nil.
func (l *lane) idle() *spool.BatchInfo { return l.first(l.head) }

func (l *lane) first(batches []spool.BatchInfo) *spool.BatchInfo {
	for i := range batches {
		if _, flying := l.inFlight[batches[i].ID]; !flying {
			return &batches[i]
		}
	}
	return nil
}

// fail books a failed attempt that began at started, and waits before the next. Attempts that were in
// flight together count as one failure: they say the same about the same moment.
func (l *lane) fail(v Verdict, started, now time.Time, wait func(failures int) time.Duration) {
	t := &l.trouble
	if t.exists() && started.Before(t.latest) && t.kind == v.Kind {
		return
	}
	if !t.exists() {
		t.since = now
	}
	if t.kind != v.Kind {
		t.logged = false
	}
	t.kind, t.code, t.latest = v.Kind, v.Code, now
	t.failures++
	l.failures++
	l.allowance = 1
	l.notBefore, l.floor = now.Add(wait(t.failures)), now.Add(min(v.Wait, maxFloor))
}

// succeed books an attempt that the backend answered, ends the trouble if there was one, and returns it.
// The lane may have one report more in flight than before, up to most.
func (l *lane) succeed(now time.Time, most int) (ended trouble) {
	ended = l.trouble
	if ended.exists() {
		l.recovered = now
	}
	l.trouble, l.notBefore = trouble{}, time.Time{}
	l.allowance = min(l.allowance+1, most)
	return ended
}

// State is what a lane is doing.
type State string

// The states, as the admin API names them.
const (
	Flowing  State = "flowing"  // delivering what is sealed
	Retrying State = "retrying" // the last attempt failed; the next comes by itself
	Held     State = "held"     // an operator has to correct something; tried slowly meanwhile
	Draining State = "draining" // delivering again, with a backlog from before
	Parked   State = "parked"   // all that waits has an unknown outcome, and an operator has to decide about it: see Sender.Parked
)

// state is Draining as long as a batch waits that was sealed before the last trouble ended.
func (l *lane) state() State {
	switch {
	case l.trouble.kind == Hold:
		return Held
	case l.trouble.exists(), l.probing.exists() && l.awaitingProof > 0:
		return Retrying
	case len(l.head) > 0 && l.head[0].Sealed.Before(l.recovered):
		return Draining
	}
	return Flowing
}

// LaneStatus is one lane as an operator sees it. It holds no credentials.
type LaneStatus struct {
	Lanes       int // of which it is the sum; 0: it is one
	ServiceID   string
	PassedOn    bool // with credentials that the reporter sent, not with configured ones
	State       State
	Batches     int
	Events      uint64
	InFlight    int
	Oldest      time.Time // when the oldest waiting event was accepted; zero: none waits
	LastError   string    // the code of the trouble it is in; empty: none
	Failures    int       // in a row
	Since       time.Time // of the first of them; zero: no trouble
	NextAttempt time.Time // zero: as soon as there is something to send

	Questioned   int       // batches that wait for proof of their applications and metrics
	Questioning  time.Time // since when the first of them does; zero: none waits
	Parked       int       // batches whose outcome is unknown, kept until an operator decides
	ParkedEvents uint64
}

func (l *lane) status() LaneStatus {
	s := LaneStatus{
		ServiceID: l.key.ServiceID, PassedOn: !l.key.Credentials.IsZero(),
		State: l.state(), InFlight: len(l.inFlight),
		LastError: l.trouble.code, Failures: l.trouble.failures, Since: l.trouble.since, NextAttempt: l.notBefore,
	}
	if s.LastError == "" && l.probing.exists() && l.awaitingProof > 0 {
		s.LastError, s.Failures, s.Since, s.NextAttempt = l.probing.code, l.probing.failures, l.probing.since, l.probing.notBefore
	}
	return s
}
