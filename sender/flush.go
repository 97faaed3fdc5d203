package sender

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool"
)

// FlushResult is what a flush came to in one lane.
type FlushResult string

// The results, as the admin API names them.
const (
	FlushDelivered FlushResult = "delivered" // nothing is left: all was delivered or became dead letters
	FlushFailed    FlushResult = "failed"    // it was tried and not delivered: see LastError
	FlushUntried   FlushResult = "not tried" // the backend did not answer another lane's report, so that this one made no call
	FlushWaiting   FlushResult = "waiting"   // for a confirmation of an application or a metric, for a timestamp ahead of the clock, or for its receipt
	FlushParked    FlushResult = "parked"    // all that is left has an unknown outcome, and an operator has to decide
)

// LaneFlush is what a flush came to in one lane. What is sealed meanwhile is not counted.
type LaneFlush struct {
	ServiceID string
	PassedOn  bool // with credentials that the reporter sent, not with configured ones
	Result    FlushResult
	State     State  // of the lane, afterwards
	Batches   int    // that are left
	Events    uint64 // in them
	Parked    int    // batches of them that an operator has to decide about
	LastError string // the code of the trouble that the lane is in; empty: none
}

// flushLook is how often a flush looks at the lanes, beside whenever an attempt ends.
const flushLook = time.Second

// Flush tries every lane at once, also those that are held or wait before a retry. It returns once each batch that was cut at or
// before upTo is settled, parked or set aside, or its lane has failed since the call; while the backend is away, one failure is
// enough for all lanes. lanes are those that had something to deliver, by service. The error is the context's, when ctx ends first.
func (s *Sender) Flush(ctx context.Context, upTo spool.Position) (lanes []LaneFlush, err error) {
	f := s.beginFlush(upTo)
	tick := time.NewTicker(flushLook)
	defer tick.Stop()
	for {
		waiting, progress := s.flushing(f)
		if !waiting {
			return s.flushed(f), nil
		}
		select {
		case <-ctx.Done():
			return s.flushed(f), ctx.Err()
		case <-progress:
		case <-tick.C:
		}
	}
}

// flush is one call of Flush.
type flush struct {
	scan
	began    time.Time
	before   uint64           // failures of all lanes when it began
	failures map[*lane]uint64 // of the lanes when it began; a lane that is not in it had none
}

// beginFlush lets every lane in trouble try now.
func (s *Sender) beginFlush(upTo spool.Position) *flush {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := &flush{scan: scan{upTo: upTo}, began: time.Now(), before: s.failures, failures: make(map[*lane]uint64, len(s.lanes))}
	s.refreshLocked(f.began)
	for _, l := range s.lanes {
		f.failures[l] = l.failures
		if l.inTrouble() {
			s.hastenLocked(l, f.began)
		}
	}
	if s.breaker.open {
		s.breaker.notBefore = f.began
	}
	s.poke()
	return f
}

// inTrouble reports whether the lane's last attempt or question failed.
func (l *lane) inTrouble() bool { return l.trouble.exists() || l.probing.exists() }

// failed reports whether an attempt or a question of the lane has failed since the flush began.
func (f *flush) failed(l *lane) bool { return l.failures > f.failures[l] }

// flushing reports whether a flush has to wait for a batch, and a channel that is closed when an attempt ends.
func (s *Sender) flushing(f *flush) (waiting bool, progress <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	away := s.breaker.open && s.failures > f.before // one failure tells about all lanes
	return s.stops(&f.scan, func(b *spool.BatchInfo) bool { return s.flushWaitsLocked(b, f, away) }), s.progress
}

// flushWaitsLocked reports whether a flush waits for a batch. The mutex is held.
func (s *Sender) flushWaitsLocked(b *spool.BatchInfo, f *flush, away bool) bool {
	if s.parks(b) || s.waitsForReceipt(b) {
		return false
	}
	l := s.lanes[b.Lane]
	if l == nil {
		return true // it is new
	}
	if w := s.probations[b.ID]; w != nil && !w.due.IsZero() && w.asking == 0 && w.due.After(time.Now()) {
		return false // it waits for time to pass
	}
	return !l.inTrouble() || !f.failed(l) && !away
}

// flushed says what a flush came to, lane by lane.
func (s *Sender) flushed(f *flush) []LaneFlush {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refreshLocked(time.Now())
	found := make(map[spool.LaneKey]*LaneFlush)
	of := func(key spool.LaneKey, l *lane) *LaneFlush {
		came := found[key]
		if came == nil {
			came = &LaneFlush{ServiceID: key.ServiceID, PassedOn: !key.Credentials.IsZero(), Result: FlushDelivered, State: Flowing}
			if l != nil {
				status := l.status()
				came.State, came.LastError = status.State, status.LastError
			}
			found[key] = came
		}
		return came
	}
	for key, l := range s.lanes {
		if !l.answered.Before(f.began) {
			of(key, l)
		}
	}
	for _, b := range s.spool.Batches() {
		if b.ID.Position > f.upTo {
			continue
		}
		came := of(b.Lane, s.lanes[b.Lane])
		came.Batches, came.Events = came.Batches+1, came.Events+b.Events
		if s.parks(&b) {
			came.Parked++
		}
	}
	all := make([]LaneFlush, 0, len(found))
	for key, came := range found {
		came.judge(s.lanes[key], f)
		all = append(all, *came)
	}
	slices.SortFunc(all, func(a, b LaneFlush) int {
		return cmp.Or(cmp.Compare(a.ServiceID, b.ServiceID), cmp.Compare(b.Events, a.Events))
	})
	return all
}

// judge sets the result from what is left.
func (c *LaneFlush) judge(l *lane, f *flush) {
	switch {
	case c.Batches == 0:
	case c.Batches == c.Parked:
		c.Result, c.State = FlushParked, Parked
	case l != nil && f.failed(l):
		c.Result = FlushFailed
	case l == nil || l.inTrouble():
		c.Result = FlushUntried
	default:
		c.Result = FlushWaiting
	}
}
