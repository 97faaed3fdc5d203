package spool

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
)

// Group is a number of events that became durable together.
type Group struct {
	First, Last Position // without a gap in between
	Count       int      // Last-First+1
	Accepted    time.Time

	payload []byte
	skip    int // events before First, which are in a cut
	spool   *Spool
	scratch event.Event
}

// Events iterates over the group: for e := range group.Events. The event, its usage and its strings are reused: they are valid
// until the next step, and must be copied to be kept. Event.ID is empty, since only its hash is on disk.
func (g *Group) Events(yield func(*event.Event) bool) {
	d := decoder{data: g.payload}
	for i := range g.skip + g.Count {
		d.event(&g.scratch)
		if d.err != nil { // the checksum holds, but this does not decode: the rest of the group cannot be read
			g.spool.lose(max(g.First, g.Last+1-Position(g.skip+g.Count-i)), g.Last)
			return
		}
		if i >= g.skip && !yield(&g.scratch) {
			return
		}
	}
}

// Tail reads the journal behind the last committed cut, and waits for new events. It is for one goroutine.
type Tail struct {
	spool  *Spool
	next   Position // the next position to return
	follow wal.Follower
	group  Group
}

// Tail returns a reader that starts behind the last committed cut, both after a restart and in normal running. There is one tail
// at a time.
func (s *Spool) Tail() *Tail {
	return &Tail{spool: s, next: s.Committed() + 1, follow: wal.NewFollower(s.journal.log)}
}

// Next returns the next durable group; it waits for one until ctx ends. The group is valid until the next call. After a read
// error it may be called again and continues at the same place: an event that cannot be read now is not skipped (I17). What was
// read and is damaged is quarantined, counted as lost, and skipped.
func (t *Tail) Next(ctx context.Context) (*Group, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := t.step()
		if err != nil {
			return nil, fmt.Errorf("spool: read journal: %w", err)
		}
		if found {
			return &t.group, nil
		}
		select {
		case <-t.spool.journal.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close closes the file that is open.
func (t *Tail) Close() error { return t.follow.Close() }

// step finds the next group, or returns false when everything durable was returned.
func (t *Tail) step() (found bool, err error) {
	for {
		what, err := t.follow.Step(uint64(t.next))
		switch {
		case err != nil || what == wal.AtEnd:
			return false, err
		case what == wal.AtDamage && t.follow.UpTo > 0:
			t.lose(Position(t.follow.UpTo))
		case what == wal.AtFrame:
			f := t.follow.Frame
			if f.Next() <= uint64(t.next) {
				continue
			}
			t.lose(Position(f.First))
			if t.take(f, t.follow.Payload) {
				return true, nil
			}
		}
	}
}

// lose counts the events that are missing before a position as lost.
func (t *Tail) lose(before Position) {
	if before > t.next {
		t.spool.lose(t.next, before-1)
		t.next = before
	}
}

// take makes the group of a frame, from next on.
func (t *Tail) take(f wal.Frame, payload []byte) bool {
	if len(payload) < groupPrefix {
		return false
	}
	t.group = Group{
		First: t.next, Last: Position(f.Next() - 1), Count: int(f.Next() - uint64(t.next)),
		Accepted: time.Unix(0, int64(binary.LittleEndian.Uint64(payload))),
		payload:  payload[groupPrefix:], skip: int(uint64(t.next) - f.First),
		spool: t.spool, scratch: event.Event{Transaction: t.group.scratch.Transaction},
	}
	t.next = t.group.Last + 1
	return true
}
