package spool

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
)

// Pending is what was accepted and had not ended at one moment: the live batches, and the events of the journal behind the last
// cut. Appends, cuts and outcomes continue while it is read. Until Close the journal keeps the segments that are still to be
// read. It is for one goroutine.
type Pending struct {
	Batches []BatchInfo // live at that moment; read them with Load

	spool      *Spool
	next, last Position // of the journal: the range still to be read
	follow     wal.Follower
	group      Group
}

// Pending returns what is pending now, without waiting. The caller closes it.
func (s *Spool) Pending() *Pending {
	p := &Pending{spool: s, follow: wal.NewFollower(s.journal.log)}
	s.journal.retain(p, s.Committed()+1) // first, so that what a later cut releases stays
	for tries := 0; ; tries++ {
		cut := s.Committed()
		p.Batches, p.next, p.last = s.Batches(), cut+1, s.Readable()
		if s.Committed() == cut || tries == maxCutTries {
			return p
		}
	}
}

// maxCutTries limits how often Pending retries because a cut was committed in between: cuts are seconds apart.
const maxCutTries = 1000

// Next returns the next events of the journal, and io.EOF after the last. It does not wait for new ones. After another error it
// can be called again and continues at the same place. Damaged bytes are skipped: the Tail counts them as lost.
func (p *Pending) Next(ctx context.Context) (*Group, error) {
	for p.next <= p.last {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := p.step()
		if err != nil {
			return nil, fmt.Errorf("spool: read pending events: %w", err)
		}
		if found {
			return &p.group, nil
		}
	}
	return nil, io.EOF
}

// Close releases the journal, and closes the file that is open.
func (p *Pending) Close() error {
	err := p.follow.Close()
	p.spool.journal.retain(p, 0)
	upTo := p.spool.Committed()
	return errors.Join(err, p.spool.journal.drop(upTo))
}

// step takes one step of the reader.
func (p *Pending) step() (found bool, err error) {
	what, err := p.follow.Step(uint64(p.next))
	switch {
	case err != nil:
		return false, err
	case what == wal.AtEnd: // the rest is lost
		p.next = p.last + 1
	case what == wal.AtFrame:
		return p.take(p.follow.Frame, p.follow.Payload), nil
	case p.follow.UpTo > 0: // removed, or damaged: the Tail counts what is lost
		p.next = max(p.next, Position(p.follow.UpTo))
	}
	return false, nil
}

// take makes the group of a frame, if the frame contains events that are still to be read.
func (p *Pending) take(f wal.Frame, payload []byte) bool {
	if f.Next() <= uint64(p.next) || len(payload) < groupPrefix {
		return false
	}
	first := max(p.next, Position(f.First))
	p.group = Group{
		First: first, Last: Position(f.Next() - 1), Count: int(f.Next() - uint64(first)),
		Accepted: time.Unix(0, int64(binary.LittleEndian.Uint64(payload))),
		payload:  payload[groupPrefix:], skip: int(uint64(first) - f.First),
		spool: p.spool, scratch: event.Event{Transaction: p.group.scratch.Transaction},
	}
	p.next = p.group.Last + 1
	return first <= p.last
}

// retain keeps the events from a position on for a reader; 0 ends that.
func (j *journal) retain(p *Pending, from Position) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if from == 0 {
		delete(j.retained, p)
		return
	}
	if j.retained == nil {
		j.retained = make(map[*Pending]Position)
	}
	j.retained[p] = from
}

// drop removes the segments with no event behind upTo and none that is retained. On an error the next cut retries.
func (j *journal) drop(upTo Position) error {
	keep := uint64(math.MaxUint64)
	j.mu.Lock()
	for _, from := range j.retained {
		keep = min(keep, uint64(from))
	}
	j.mu.Unlock()
	return j.log.DropWhile(func(_ *wal.Segment, reach, _ uint64) bool { return reach <= min(uint64(upTo)+1, keep) })
}
