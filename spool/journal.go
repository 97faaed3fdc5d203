package spool

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
)

// When a producer may retry after a refusal.
const (
	retryFull    = 5 * time.Second // delivery frees space
	retryTrouble = time.Second     // each try writes to a new file
)

// journal keeps accepted events until they are cut. Its log's sequence numbers are Positions.
type journal struct {
	log      *wal.Log
	counters *counters
	timing   *timing
	admit    func(bytes int) error // nil: there is space
	maxIDs   int
	note     func([]event.Source) error // makes messages durable of which every event is a duplicate
	wake     chan struct{}              // tells the one Tail that there is more

	mu       sync.Mutex // guards the fields below
	groups   grouper
	dedupe   *dedupeSet        // nil: ids are not remembered
	inFlight map[idHash]*group // ids in groups that are not durable yet
	uncut    []uncutHash       // ids behind the last cut, in order

	sources         sourceSet               // messages of streams that were accepted
	sourcesInFlight map[event.Source]*group // those in groups that are not durable yet, by flightKey
	uncutSources    []uncutSource           // those behind the last cut, in order

	gaps   []gap // events behind the last cut that are lost
	closed error
	failed error // of the last commit; nil when it was fine
	size   int64 // bytes of events that are not cut
	latest int64 // latest timestamp of an event accepted since the start, Unix seconds; 0: none

	retained map[*Pending]Position // positions from which on the journal is still being read
}

// uncutHash is the hash of an id whose only durable place is the journal.
type uncutHash struct {
	position Position
	hash     idHash
	stamp    uint32 // when it was accepted, Unix seconds
}

// Append accepts events: it returns once all that are not duplicates are durable, in one frame with their ids. duplicates counts
// those whose id was accepted before, or stands earlier in events. After an *event.Refused no event was accepted; after another
// error (ctx ended while waiting) the events may have been accepted. Event.Duplicate marks the duplicates. Neither events nor
// their strings are retained.
func (s *Spool) Append(ctx context.Context, events []event.Event) (duplicates int, err error) {
	if len(events) == 0 {
		return 0, nil
	}
	e := encode(events, s.journal.dedupe != nil)
	defer e.release()
	duplicates, err = s.journal.append(ctx, e)
	if duplicates > 0 {
		e.setDuplicates(events)
	}
	return duplicates, err
}

// setDuplicates sets Duplicate in the events that were encoded.
func (e *encoding) setDuplicates(events []event.Event) {
	for _, d := range e.drops {
		for i := range d.count {
			events[d.index+i].Duplicate = true
		}
	}
}

func (j *journal) append(ctx context.Context, e *encoding) (duplicates int, err error) {
	if len(e.buf) > wal.MaxFrame/2 {
		return 0, refused(true, fmt.Errorf("spool: %d bytes of events in one request: at most %d", len(e.buf), wal.MaxFrame/2))
	}
	own, leads, waits, duplicates, err := j.place(e, j.admit(len(e.buf)))
	if err != nil {
		return 0, err
	}
	if leads {
		j.commit(own)
	}
	sources := e.unknownSources(own)
	if own != nil {
		waits = append(waits[:0], own) // done after the groups that it needs
	}
	for _, g := range waits {
		if err := g.wait(ctx); err != nil {
			return 0, err
		}
	}
	if len(sources) > 0 {
		if err := j.note(sources); err != nil {
			return 0, refused(false, err)
		}
	}
	if duplicates > 0 {
		j.counters.duplicates(uint64(duplicates))
	}
	return duplicates, nil
}

// wait returns the result of the group. If ctx ends first, the outcome is unknown.
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

// place puts the events that are not duplicates into a group. own is nil if all are duplicates; waits are the groups whose result
// decides about the duplicates. full is why no event can be taken now; duplicates are answered all the same.
func (j *journal) place(e *encoding, full error) (own *group, leads bool, waits []*group, duplicates int, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed != nil {
		return nil, false, nil, 0, refused(false, j.closed)
	}
	if len(e.withID)+len(e.runs) == 0 {
		if full != nil {
			return nil, false, nil, 0, refused(wal.IsNoSpace(full), full)
		}
		own, leads = j.groups.joinLocked(len(e.buf))
		own.buf, own.count = append(own.buf, e.buf...), own.count+uint32(e.count)
		own.latest = max(own.latest, e.latest)
		return own, leads, nil, 0, nil
	}
	waits = j.siftLocked(e, j.siftSourcesLocked(e))
	if duplicates = e.dropped(); duplicates == e.count {
		j.unreserveLocked(e)
		return nil, false, waits, duplicates, nil
	}
	if err := j.admitFreshLocked(e, full); err != nil {
		j.unreserveLocked(e)
		return nil, false, nil, 0, err
	}
	own, leads = j.groups.joinLocked(len(e.buf))
	for _, g := range waits {
		if g != own {
			own.needs = append(own.needs, g)
		}
	}
	j.fillLocked(own, e)
	return own, leads, waits, duplicates, nil
}

// placing is the value in flight for ids of the request that is being placed.
var placing = new(group)

// admitFreshLocked returns an error when there is no space for the events of a request that are not duplicates, or no memory for
// their ids, which are reserved already.
func (j *journal) admitFreshLocked(e *encoding, full error) error {
	if full != nil {
		return refused(wal.IsNoSpace(full), full)
	}
	if len(e.fresh) == 0 {
		return nil
	}
	if n := j.dedupe.size() + len(j.inFlight); n > j.maxIDs {
		limit := fmt.Sprintf("dedupe.max_ids of %d", j.maxIDs)
		return &event.Refused{
			Full: true, RetryAfter: retryFull, Limit: limit,
			Err: fmt.Errorf("spool: %d event ids are remembered: %s is reached until some of them are older than dedupe.window", n-len(e.fresh), limit),
		}
	}
	return nil
}

// siftLocked drops the events whose id was accepted before or is in flight, and adds the groups of the latter to waits. It reserves
// the other ids, in e.fresh. Looking up an id and reserving it happen under one lock, and it enters the dedupe set only with its
// event (I8).
func (j *journal) siftLocked(e *encoding, waits []*group) []*group {
	now, whole := time.Now().Unix(), len(e.drops)
	next := 0 // index of the next message that is dropped as a whole
	for _, m := range e.withID {
		for next < whole && e.drops[next].index+e.drops[next].count <= m.index {
			next++
		}
		if next < whole && e.drops[next].index <= m.index {
			continue
		}
		g := j.inFlight[m.hash]
		if g == nil && !j.dedupe.has(m.hash, now) {
			j.inFlight[m.hash] = placing // fillLocked replaces it by the group before the mutex is released
			e.fresh = append(e.fresh, m)
			continue
		}
		if g != nil && g != placing && (len(waits) == 0 || waits[len(waits)-1] != g) {
			waits = append(waits, g)
		}
		e.drops = append(e.drops, drop{m.index, 1, m.start, m.end})
	}
	if whole > 0 && whole < len(e.drops) {
		slices.SortFunc(e.drops, func(a, b drop) int { return cmp.Compare(a.index, b.index) })
	}
	return waits
}

// dropped returns how many events are duplicates.
func (e *encoding) dropped() (n int) {
	for _, d := range e.drops {
		n += d.count
	}
	return n
}

// unknownSources returns the messages that were not accepted before although every event in the request is a duplicate.
func (e *encoding) unknownSources(own *group) (sources []event.Source) {
	for i := range e.runs {
		if own == nil && !e.runs[i].duplicate {
			sources = append(sources, e.runs[i].source)
		}
	}
	return sources
}

// unreserveLocked releases the reserved ids and messages of a request of which nothing is written.
func (j *journal) unreserveLocked(e *encoding) {
	for _, m := range e.fresh {
		delete(j.inFlight, m.hash)
	}
	for i := range e.runs {
		if !e.runs[i].duplicate {
			delete(j.sourcesInFlight, flightKey(e.runs[i].source))
		}
	}
}

// fillLocked copies all events but the duplicates into a group, with the reserved ids and messages.
func (j *journal) fillLocked(own *group, e *encoding) {
	from := 0
	for _, d := range e.drops {
		own.buf = append(own.buf, e.buf[from:d.start]...)
		from = d.end
	}
	own.buf = append(own.buf, e.buf[from:]...)
	drops := counter{drops: e.drops}
	for _, m := range e.fresh {
		own.ids = append(own.ids, groupID{hash: m.hash, event: own.count + uint32(m.index-drops.before(m.index))})
		j.inFlight[m.hash] = own
	}
	drops = counter{drops: e.drops}
	for i := range e.runs {
		if r := &e.runs[i]; !r.duplicate {
			own.sources = append(own.sources, groupSource{source: r.source, event: own.count + uint32(r.index-drops.before(r.index))})
			j.sourcesInFlight[flightKey(r.source)] = own
		}
	}
	own.count += uint32(e.count - e.dropped())
	own.latest = max(own.latest, e.latest)
}

// counter counts dropped events, for indexes in ascending order.
type counter struct {
	drops   []drop
	dropped int
}

// before returns how many events with an index below i are dropped.
func (c *counter) before(i int) int {
	for len(c.drops) > 0 && c.drops[0].index < i {
		c.dropped += c.drops[0].count
		c.drops = c.drops[1:]
	}
	return c.dropped
}

// commit writes a group as its leader. It returns once the group is durable, or refused.
func (j *journal) commit(led *group) {
	j.groups.waitTurn(led)
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
		delete(j.inFlight, id.hash)
	}
	for _, s := range led.sources {
		delete(j.sourcesInFlight, flightKey(s.source))
	}
	if disk {
		j.failed = err
	}
	j.groups.finishLocked(led, err)
	j.mu.Unlock()
	close(led.done)
	select {
	case j.wake <- struct{}{}:
	default:
	}
}

// unmet returns the error of a group without which this one must not be accepted: it contains the other part of a request with an
// id in flight there.
func unmet(led *group) error {
	for _, g := range led.needs {
		<-g.done // returns: groups are done in order
		if g.err != nil {
			return g.err
		}
	}
	led.needs = nil
	return nil
}

// bookGroup counts a durable group and adds its ids to the dedupe set, before any reader sees it (I8).
func (j *journal) bookGroup(led *group, at wal.Place, now int64) {
	j.counters.accepted(uint64(led.count))
	j.mu.Lock()
	defer j.mu.Unlock()
	j.size += int64(len(led.buf))
	j.latest = max(j.latest, led.latest)
	if len(led.ids) > 0 {
		j.dedupe.forget(now)
	}
	for _, id := range led.ids {
		j.dedupe.add(id.hash, now)
		j.uncut = append(j.uncut, uncutHash{position: Position(at.First + uint64(id.event)), hash: id.hash, stamp: uint32(now)})
	}
	for _, s := range led.sources {
		j.sources.add(s.source)
		position := Position(at.First + uint64(min(s.event, led.count-1))) // a message without events of its own stands at the end
		j.uncutSources = append(j.uncutSources, uncutSource{position: position, source: s.source})
	}
}

// close refuses new events, waits for the groups being written, and seals the log.
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
