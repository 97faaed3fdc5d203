package source

import (
	"context"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/backoff"
	"github.com/reporterd/reporterd/threescale/portal"
)

// Options of New.
type Options struct {
	Dir   string       // of the last answers, made when there is one; empty: they are not kept
	File  string       // of the sources, which Save and Remove write; empty: they fail
	Sides func() Sides // who can be asked now
	Log   *zap.Logger  // nil: none
}

// Store has the sources in effect, their last good answers, and asks again. Its methods may be called concurrently.
type Store struct {
	options Options
	wake    [2]chan struct{} // of each lane: holds one when something is due sooner than before

	editing sync.Mutex // guards the file against another Save or Remove; taken before mu

	mu      sync.Mutex // guards the fields below
	sources []*entry
	lanes   [2]lane
	asked   uint64 // questions since the start
	failed  uint64 // those without a good answer
	views   views  // its slots are a channel, and need no mutex
}

// entry is a source with what is known of it. The mutex of the store guards it.
type entry struct {
	*Source
	answer   *encoded // the last good one; nil: none yet
	due      time.Time
	failures int    // in a row
	reason   string // of the last failure; empty: the last time went well
	asked    time.Time
}

// lane is who is asked one question at a time: the ledger, or 3scale's portal.
type lane struct {
	failures int       // of the portal itself, in a row
	held     time.Time // nothing is asked before
	reason   string
}

const (
	ledgerLane = 0
	portalLane = 1
)

// Pauses after failures: of one source, and of a portal that fails for all of them.
var (
	retrySource = backoff.Policy{Base: 30 * time.Second, Max: 15 * time.Minute, Jitter: 0.5}
	retryPortal = backoff.Policy{Base: 10 * time.Second, Max: 5 * time.Minute, Jitter: 0.5, MaxFloor: time.Hour}
)

// mostAsking bounds one question, with all the calls it takes.
const mostAsking = 10 * time.Minute

// New makes a store without sources.
func New(o Options) *Store {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	s := &Store{options: o, views: views{slots: make(chan struct{}, mostViews), kept: make(map[string]view)}}
	for i := range s.wake {
		s.wake[i] = make(chan struct{}, 1)
	}
	return s
}

// Apply puts a list of sources in effect. A source whose question is the same keeps its answer; for a new one the answer of before
// a restart is read. Every new question is due at once.
func (s *Store) Apply(list []*Source) {
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.sources
	s.sources = nil
	for _, src := range list {
		e := &entry{Source: src}
		at := slices.IndexFunc(before, func(o *entry) bool { return o.Name == src.Name && o.fingerprint() == src.fingerprint() })
		if at >= 0 {
			old := before[at]
			e.answer, e.failures, e.reason, e.asked = old.answer, old.failures, old.reason, old.asked
			e.due = old.due
			if next := old.asked.Add(src.Refresh); next.Before(e.due) {
				e.due = next
			}
		} else if r := recall(s.options.Dir, src); r != nil {
			if e.answer, _ = encode(r); e.answer != nil { // it was encoded before
				e.due = r.AsOf.Add(src.Refresh)
			}
		}
		s.sources = append(s.sources, e)
	}
	forget(s.options.Dir, list)
	for _, wake := range s.wake {
		select {
		case wake <- struct{}{}:
		default:
		}
	}
}

// Len returns how many sources there are.
func (s *Store) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sources)
}

func (e *entry) lane() int {
	if e.asksPortal() {
		return portalLane
	}
	return ledgerLane
}

// Run asks what is due until ctx ends: one question at a time of the ledger, and one at a time of the portal.
func (s *Store) Run(ctx context.Context) {
	var both sync.WaitGroup
	for i := range s.wake {
		both.Go(func() { s.serve(ctx, i) })
	}
	both.Wait()
}

// serve asks the questions of a lane, the one that has been due for longest first.
func (s *Store) serve(ctx context.Context, i int) {
	for ctx.Err() == nil {
		e, wait := s.next(i, time.Now())
		if e != nil && wait <= 0 {
			s.refresh(ctx, e.Source)
			continue
		}
		if e == nil {
			wait = mostRefresh
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-s.wake[i]:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// next returns the source of a lane that is due first, and how long it is until it may be asked; nil: there is none.
func (s *Store) next(i int, now time.Time) (first *entry, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.sources {
		if e.lane() == i && (first == nil || e.due.Before(first.due)) {
			first = e
		}
	}
	if first == nil {
		return nil, 0
	}
	return first, max(first.due.Sub(now), s.lanes[i].held.Sub(now))
}

// refresh asks, and keeps a good answer.
func (s *Store) refresh(ctx context.Context, src *Source) {
	ctx, cancel := context.WithTimeout(ctx, mostAsking)
	defer cancel()
	sides := s.options.Sides()
	r, err := sides.Ask(ctx, src)
	var answer *encoded
	if err == nil {
		answer, err = encode(r)
	}
	if err == nil && s.options.Dir != "" {
		if lost := keep(s.options.Dir, src, r); lost != nil {
			s.options.Log.Warn("cannot keep an answer: it is served until the next restart", zap.String("source", src.Name), zap.Error(lost))
		}
	}
	s.record(src, answer, err, time.Now())
}

// record notes what came of a question.
func (s *Store) record(src *Source, answer *encoded, err error, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if err != nil {
		s.failed++
	}
	at := slices.IndexFunc(s.sources, func(e *entry) bool { return e.Name == src.Name && e.fingerprint() == src.fingerprint() })
	if at < 0 {
		return // a reload replaced it by another question meanwhile
	}
	e, l := s.sources[at], &s.lanes[s.sources[at].lane()]
	e.asked = now
	if err == nil {
		if e.failures > 0 {
			s.options.Log.Info("a source is answered again", zap.String("source", src.Name), zap.Int("failures", e.failures))
		}
		e.answer, e.failures, e.reason, e.due = answer, 0, "", answer.AsOf.Add(src.Refresh)
		l.failures, l.reason = 0, ""
		return
	}
	if e.failures++; e.failures == 1 {
		s.options.Log.Warn("a source is not answered: its last answer is served", zap.String("source", src.Name), zap.Error(err))
	}
	e.reason = err.Error()
	if pause, ofAll := portalFailure(err); ofAll && l == &s.lanes[portalLane] {
		l.failures++
		l.held, l.reason = now.Add(retryPortal.Delay(l.failures, pause)), e.reason
		e.due = now.Add(retryPortal.Delay(e.failures, pause)) // its own failures: a wrong path alone does not keep the portal busy
		return
	}
	e.due = now.Add(retrySource.Delay(e.failures, 0))
}

// portalFailure reports whether an error is about the portal and not about one question, and how long it asks to be left alone.
func portalFailure(err error) (pause time.Duration, ofAll bool) {
	switch portal.FaultOf(err) {
	case portal.FaultRate, portal.FaultServer, portal.FaultTime, portal.FaultReach, portal.FaultName, portal.FaultTLS, portal.FaultHost,
		portal.FaultToken, portal.FaultSuspended:
		return retryAfter(err), true
	}
	return 0, false
}
