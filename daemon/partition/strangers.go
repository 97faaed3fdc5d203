package partition

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
)

// StrangerLimits bound usage with credentials that reporters sent, which are not configured: each pair of a service and such
// credentials is a lane. 0: no bound.
type StrangerLimits struct {
	Lanes int   // with usage that is not delivered
	Bytes int64 // of the spool for that usage, about
}

// strangerRetry is when a reporter whose usage is beyond the limits should try again.
const strangerRetry = 30 * time.Second

// boundedJournal refuses events of strangers beyond their limits, and passes everything else to the spool. What is on disk is
// counted by the spool; what was accepted since the last cuts is counted here.
type boundedJournal struct {
	*spool.Spool
	limits  StrangerLimits
	totals  *totals
	refused atomic.Uint64 // requests

	mu      sync.Mutex // guards what follows
	recent  uncut
	before  uncut          // accepted before recent began; dropped once it is sealed
	sealing spool.Position // recent began when so many events were accepted
	pruned  time.Time      // when lanes that the spool counts by now were taken out of recent and before
}

// uncut is usage of strangers that may not be sealed yet, so that the spool does not count it.
type uncut struct {
	lanes map[spool.LaneKey]struct{} // without batches when their usage came
	bytes int64
}

func newBoundedJournal(s *spool.Spool, l StrangerLimits, t *totals) *boundedJournal {
	return &boundedJournal{Spool: s, limits: l, totals: t, recent: uncut{lanes: map[spool.LaneKey]struct{}{}}}
}

func (j *boundedJournal) figures() console.Strangers {
	waiting := j.PassedOn()
	return console.Strangers{Lanes: waiting.Lanes, Bytes: waiting.Bytes, Refused: j.refused.Load()}
}

// Append implements quota.Journal.
func (j *boundedJournal) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	if err := j.admit(events); err != nil {
		return 0, err
	}
	duplicates, err = j.Spool.Append(ctx, events)
	if err == nil || !errors.As(err, new(*event.Refused)) { // else nothing of it was kept
		j.totals.count(events)
	}
	return duplicates, err
}

// authrepJournal is where the usage of authreps becomes durable. Nothing before it has admitted their large values.
type authrepJournal struct{ *boundedJournal }

// Append implements quota.Journal.
func (j authrepJournal) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	for i := range events {
		if why := j.totals.Admit(&events[i]); why != "" {
			return 0, &event.Refused{RetryAfter: strangerRetry, Err: errors.New("the usage " + why)}
		}
	}
	return j.boundedJournal.Append(ctx, events)
}

// admit notes the strangers among the events, or refuses the request as a whole. The usual request costs no lock.
func (j *boundedJournal) admit(events []event.Event) error {
	for first := 0; first < len(events); {
		e, end, size := &events[first], first, int64(0)
		if e.Credentials.IsZero() {
			first++
			continue
		}
		for ; end < len(events) && events[end].ServiceID == e.ServiceID && events[end].Credentials == e.Credentials; end++ {
			size += sizeOf(&events[end])
		}
		first = end
		if err := j.admitStranger(e, size); err != nil {
			j.refused.Add(1)
			return &event.Refused{Full: true, RetryAfter: strangerRetry, Err: err}
		}
	}
	return nil
}

// admitStranger notes events of one lane with so many bytes in all, or returns why they are refused.
func (j *boundedJournal) admitStranger(e *event.Event, size int64) error {
	key := spool.LaneKey{ServiceID: e.ServiceID, Credentials: e.Credentials}
	waiting, known := j.PassedOn(), j.HasLane(key)
	j.mu.Lock()
	defer j.mu.Unlock()
	j.turnLocked()
	bytes := j.recent.bytes + j.before.bytes + waiting.Bytes
	if !known {
		_, now := j.recent.lanes[key]
		_, earlier := j.before.lanes[key]
		known = now || earlier
	}
	if !known && j.limits.Lanes > 0 && waiting.Lanes+len(j.recent.lanes)+len(j.before.lanes) >= j.limits.Lanes {
		j.pruneLocked()
	}
	switch lanes := waiting.Lanes + len(j.recent.lanes) + len(j.before.lanes); {
	case j.limits.Bytes > 0 && bytes >= j.limits.Bytes:
		return fmt.Errorf("services that are not configured have %d bytes of undelivered usage (backend.passthrough_share)", bytes)
	case known:
	case j.limits.Lanes > 0 && lanes >= j.limits.Lanes:
		return fmt.Errorf("%d services that are not configured have undelivered usage (backend.passthrough_lanes)", lanes)
	default:
		j.recent.lanes[key.Clone()] = struct{}{}
	}
	j.recent.bytes += size
	return nil
}

// turnLocked forgets what is sealed by now. The mutex is held.
func (j *boundedJournal) turnLocked() {
	if j.Committed() < j.sealing {
		return
	}
	j.before, j.recent = j.recent, uncut{lanes: map[spool.LaneKey]struct{}{}}
	j.sealing = spool.Position(j.Counts().Accepted)
}

// pruneEvery is how often lanes are looked for that were counted twice, since their first usage was sealed meanwhile.
const pruneEvery = 100 * time.Millisecond

// pruneLocked forgets lanes that the spool counts by now. The mutex is held.
func (j *boundedJournal) pruneLocked() {
	if now := time.Now(); now.Sub(j.pruned) >= pruneEvery {
		j.pruned = now
		for _, u := range []uncut{j.recent, j.before} {
			maps.DeleteFunc(u.lanes, func(key spool.LaneKey, _ struct{}) bool { return j.HasLane(key) })
		}
	}
}

// sizeOf is about what an event takes on disk.
func sizeOf(e *event.Event) int64 {
	n := 32 + len(e.ServiceID) + len(e.Credentials.ServiceToken) + len(e.Credentials.ProviderKey) + len(e.ID) +
		len(e.Application.ID) + len(e.Application.UserKey)
	for i := range e.Usage {
		n += len(e.Usage[i].Metric) + 8
	}
	return int64(n)
}
