package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
)

// When a refused producer may try again.
const (
	retryFull    = 5 * time.Second // room is made by delivering
	retryTrouble = time.Second     // a new file is tried each time
)

// journal keeps accepted events until they are cut. Its log's sequence numbers are Positions.
type journal struct {
	log      *wal.Log
	counters *counters
	timing   *timing
	admit    func(bytes int) error // nil when there is room
	maxIDs   int
	wake     chan struct{} // to the one tail: there is more

	mu     sync.Mutex // guards the fields below
	groups grouper
	dedupe *dedupeSet        // nil: ids are not remembered
	flight map[idHash]*group // ids in groups that are not durable yet
	uncut  []uncutHash       // ids behind the last cut, in order
	gaps   []gap             // events behind the last cut that are lost
	closed error
	failed error // of the last commit; nil when it was fine
	size   int64 // bytes of events that are not cut
	latest int64 // timestamp of any event that was kept since the start, Unix seconds; 0: none was

	retained map[*Pending]Position // from where on the journal is still read
}

// uncutMark is an id whose only durable place is the journal.
type uncutHash struct {
	position Position
	mark     idHash
}

// Append keeps events: it returns once every one that is not a duplicate is durable, in one frame with
// its id. duplicates counts those whose id was kept before, or stands earlier in events. On an
// *event.Refused nothing was kept; on another error (the context ended while waiting) they may have been.
// Event.Duplicate says which they were. Neither events nor their strings are retained.
func (s *Spool) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	if len(events) == 0 {
		return 0, nil
	}
	e := encode(events, s.journal.dedupe != nil)
	defer e.release()
	duplicates, err = s.journal.append(ctx, e)
	if duplicates > 0 {
		e.tell(events)
	}
	return duplicates, err
}

// tell marks the duplicates among the events that were encoded.
func (e *encoding) tell(events []event.Event) {
	next := 0
	for _, m := range e.marked {
		if next < len(e.fresh) && e.fresh[next].index == m.index {
			next++
			continue
		}
		events[m.index].Duplicate = true
	}
}

func (j *journal) append(ctx context.Context, e *encoding) (duplicates int, err error) {
	if len(e.buf) > wal.MaxFrame/2 {
		return 0, refused(true, fmt.Errorf("spool: %d bytes of events in one request: at most %d", len(e.buf), wal.MaxFrame/2))
	}
	if err := j.admit(len(e.buf)); err != nil {
		return 0, refused(wal.IsNoSpace(err), err)
	}
	own, leads, waits, duplicates, err := j.place(e)
	if err != nil {
		return 0, err
	}
	if leads {
		j.commit(own)
	}
	if own != nil {
		waits = append(waits[:0], own) // it needs the others, and is done behind them
	}
	for _, g := range waits {
		if err := g.wait(ctx); err != nil {
			return 0, err
		}
	}
	if duplicates > 0 {
		j.counters.duplicates(uint64(duplicates))
	}
	return duplicates, nil
}

// wait returns how the group went. When ctx ends first, nobody knows.
func (g *group) wait(ctx context.Context) error {
	if ends := ctx.Done(); ends == nil {
		<-g.done
	} else {
		select {
		case <-g.done:
		case <-ends:
			return fmt.Errorf("spool: append: outcome unknown: %w", ctx.Err())
		}
	}
	if g.err != nil {
		return refused(false, g.err)
	}
	return nil
}

func refused(full bool, err error) *event.Refused {
	if full {
		return &event.Refused{Full: true, RetryAfter: retryFull, Err: err}
	}
	return &event.Refused{RetryAfter: retryTrouble, Err: err}
}

// place puts an encoding into a group, without its duplicates. own is nil when nothing else is left;
// waits are the groups whose outcome decides about the duplicates.
func (j *journal) place(e *encoding) (own *group, leads bool, waits []*group, duplicates int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed != nil {
		return nil, false, nil, 0, refused(false, j.closed)
	}
	if len(e.marked) == 0 {
		own, leads = j.groups.join(len(e.buf))
		own.buf, own.count = append(own.buf, e.buf...), own.count+uint32(e.count)
		own.latest = max(own.latest, e.latest)
		return own, leads, nil, 0, nil
	}
	now := time.Now().Unix()
	if j.dedupe.forget(now); j.dedupe.size()+len(j.flight)+len(e.marked) > j.maxIDs {
		return nil, false, nil, 0, refused(true, fmt.Errorf("spool: %d event ids remembered: no memory for more until some expire", j.dedupe.size()+len(j.flight)))
	}
	fresh, waits := j.sift(e, now)
	if duplicates = len(e.marked) - len(fresh); duplicates == e.count {
		return nil, false, waits, duplicates, nil
	}
	own, leads = j.groups.join(len(e.buf))
	for _, g := range waits {
		if g != own {
			own.needs = append(own.needs, g)
		}
	}
	j.fill(own, e, fresh)
	return own, leads, waits, duplicates, nil
}

// placing stands for the group of the request that is being placed.
var placing = new(group)

// sift returns the events with an id that nobody has kept or is keeping, and the groups in flight that
// hold the others. An id is looked up and placing under one lock, and known only with its event (I8).
func (j *journal) sift(e *encoding, now int64) (fresh []hashedEvent, waits []*group) {
	fresh = e.fresh[:0]
	for _, m := range e.marked {
		switch g := j.flight[m.mark]; {
		case g == placing: // earlier in this request
		case g != nil:
			if len(waits) == 0 || waits[len(waits)-1] != g {
				waits = append(waits, g)
			}
		case !j.dedupe.has(m.mark, now):
			j.flight[m.mark] = placing // fill puts the group here before the lock is given back
			fresh = append(fresh, m)
		}
	}
	e.fresh = fresh
	return fresh, waits
}

// fill copies all but the duplicates into a group and claims the ids.
func (j *journal) fill(own *group, e *encoding, fresh []hashedEvent) {
	from, next, skipped := 0, 0, 0
	for _, m := range e.marked {
		if next < len(fresh) && fresh[next].index == m.index {
			own.ids = append(own.ids, idMark{mark: m.mark, event: own.count + uint32(m.index-skipped)})
			j.flight[m.mark] = own
			next++
			continue
		}
		own.buf = append(own.buf, e.buf[from:m.start]...)
		from = m.end
		skipped++
	}
	own.buf = append(own.buf, e.buf[from:]...)
	own.count += uint32(e.count - skipped)
	own.latest = max(own.latest, e.latest)
}

// commit leads a group: it returns once the group is durable, or refused.
func (j *journal) commit(led *group) {
	j.groups.turn(led)
	now := time.Now()
	binary.LittleEndian.PutUint64(led.buf[wal.FrameHead:], uint64(now.UnixNano()))
	binary.LittleEndian.PutUint64(led.buf[wal.FrameHead+8:], j.counters.snapshot().Duplicates)
	err := unmet(led)
	disk := err == nil
	if disk {
		err = j.log.Commit(led.buf, led.count, func(at wal.Place) { j.bookGroup(led, at, now.Unix()) })
	}
	j.timing.group(led.count, len(led.buf), time.Since(led.begun), err)
	j.mu.Lock()
	for _, id := range led.ids {
		delete(j.flight, id.mark)
	}
	if disk {
		j.failed = err
	}
	j.groups.finish(led, err)
	j.mu.Unlock()
	close(led.done)
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// unmet returns why a group must not be kept: it holds the rest of a request of which a part, by way of
// an id in flight, was refused.
func unmet(led *group) error {
	for _, g := range led.needs {
		<-g.done // closed: groups are done in order
		if g.err != nil {
			return g.err
		}
	}
	led.needs = nil
	return nil
}

// settle books a group that is durable, before any reader sees it: I8.
func (j *journal) bookGroup(led *group, at wal.Place, now int64) {
	j.counters.accepted(uint64(led.count))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.size += int64(len(led.buf))
	j.latest = max(j.latest, led.latest)
	for _, id := range led.ids {
		j.dedupe.add(id.mark, now)
		j.uncut = append(j.uncut, uncutHash{position: Position(at.First + uint64(id.event)), mark: id.mark})
	}
}

// close refuses what comes from now on, waits for the groups under way, and seals the log.
func (j *journal) close() error {
	j.mu.Lock()
	if j.closed != nil {
		j.mu.Unlock()
		return nil
	}
	j.closed = ErrClosed
	newest := j.groups.newest
	j.mu.Unlock()
	if newest != nil {
		<-newest.done
	}
	if err := j.log.Close(); err != nil {
		return fmt.Errorf("spool: close journal: %w", err)
	}
	return nil
}
