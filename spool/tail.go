package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/reporterd/reporterd/event"
)

// Group is what became durable together.
type Group struct {
	First, Last Position // without a gap between them
	Count       int      // Last-First+1
	Accepted    time.Time

	payload []byte
	skip    int // events before First, which a cut has taken
	spool   *Spool
	scratch event.Event
}

// Events iterates over the group: for e := range group.Events. The event, its usage and its strings are
// reused: they are valid until the next step, and must be copied to be kept. Event.ID is empty, since
// only its hash is on disk.
func (g *Group) Events(yield func(*event.Event) bool) {
	d := decoder{data: g.payload}
	for i := range g.skip + g.Count {
		d.event(&g.scratch)
		if d.err != nil { // the checksum holds, yet this is no event: nothing behind it can be read
			g.spool.lose(max(g.First, g.Last+1-Position(g.skip+g.Count-i)), g.Last)
			return
		}
		if i >= g.skip && !yield(&g.scratch) {
			return
		}
	}
}

// Tail reads the journal behind the last committed cut, as it grows. It is for one goroutine.
type Tail struct {
	spool   *Spool
	next    Position // the next one to hand out
	segment *segment
	scan    scanner
	off     int64
	bad     int // times the frame at off could not be read because of the disk
	group   Group
}

// Tail returns a reader that starts behind the last committed cut: the same way through the disk after a
// restart and in normal running. There is one tail at a time.
func (s *Spool) Tail() *Tail {
	return &Tail{spool: s, next: s.Committed() + 1}
}

// Next returns the next group that is durable, waiting for one until ctx ends. The group is valid until
// the next call. After an error of the disk it may be called again: what cannot be read three times in a
// row is booked as lost, and passed over.
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

// Close releases the file under the tail.
func (t *Tail) Close() error {
	if t.scan.file == nil {
		return nil
	}
	err := t.scan.file.Close()
	t.scan.file, t.segment = nil, nil
	return err
}

// step finds the next group, or reports that everything durable was handed out.
func (t *Tail) step() (found bool, err error) {
	for {
		if t.segment == nil {
			if err := t.enter(t.spool.journal.log.holding(uint64(t.next))); err != nil || t.segment == nil {
				return false, err
			}
		}
		end, following := t.spool.journal.log.extent(t.segment)
		t.scan.size = end // I2: only what is durable
		if t.off < end {
			if found, err := t.read(); found || err != nil {
				return found, err
			}
			continue
		}
		if following == nil {
			return false, nil
		}
		if err := t.enter(following); err != nil {
			return false, err
		}
	}
}

// enter opens a segment. One that has gone was cut in the meantime, or taken away by hand.
func (t *Tail) enter(s *segment) error {
	if s == nil {
		return nil
	}
	log := t.spool.journal.log
	file, err := log.fs.OpenFile(log.path(s.name()), os.O_RDONLY, 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err != nil { // nothing is gone because its directory is, nor while it is the one that is written to
		if away := t.spool.presence.look(); away != nil {
			return away
		}
		if _, following := log.extent(s); following == nil {
			return err
		}
	}
	if err := t.Close(); err != nil {
		return err
	}
	t.segment, t.off = s, segmentHead
	t.scan = scanner{file: file, window: t.scan.window[:0]}
	if err != nil {
		t.off, _ = log.extent(s)
	}
	return nil
}

// read takes the frame at off, if it is one that was not handed out.
func (t *Tail) read() (found bool, err error) {
	f, payload, err := t.scan.read(t.off)
	switch {
	case err == nil:
		t.bad = 0
	case errors.Is(err, errNoFrame), errors.Is(err, errBadFrame), errors.Is(err, errBadBody):
		t.resync()
		return false, nil
	default:
		if t.bad++; t.bad < readTries {
			return false, err
		}
		t.resync()
		return false, nil
	}
	t.off += f.size()
	if f.kind != frameData || f.next() <= uint64(t.next) {
		return false, nil
	}
	if Position(f.first) > t.next {
		t.spool.lose(t.next, Position(f.first)-1)
		t.next = Position(f.first)
	}
	return t.take(f, payload), nil
}

// take makes the group of a frame, from next on.
func (t *Tail) take(f frame, payload []byte) bool {
	if len(payload) < groupPrefix {
		return false
	}
	t.group = Group{
		First: t.next, Last: Position(f.next() - 1), Count: int(f.next() - uint64(t.next)),
		Accepted: time.Unix(0, int64(binary.LittleEndian.Uint64(payload))),
		payload:  payload[groupPrefix:], skip: int(uint64(t.next) - f.first),
		spool: t.spool, scratch: event.Event{Transaction: t.group.scratch.Transaction},
	}
	t.next = t.group.Last + 1
	return true
}

// resync passes over damage that appeared after recovery: to the next sound frame, or the end of what is
// durable in the segment. What lies between is set aside and booked as lost.
func (t *Tail) resync() {
	t.bad = 0
	log := t.spool.journal.log
	end, _ := log.extent(t.segment)
	next := log.reach(t.segment)
	from := t.off
	if at, _ := t.scan.resync(t.off+1, uint64(t.next), next); at >= 0 {
		t.off = at
	} else {
		t.off = end
		if next > uint64(t.next) {
			t.spool.lose(t.next, Position(next)-1)
			t.next = Position(next)
		}
	}
	t.spool.quarantine.keepRange(log, t.segment, from, t.off)
}
