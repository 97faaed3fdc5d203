package spool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

const (
	// changesQuota is the fraction (1/8) of the quota that ended batches may take up until the ledger has processed them;
	// changesDefault is the limit in bytes without a quota.
	changesQuota   = 8
	changesDefault = 1 << 30

	// cachedTransactions bounds how many transactions of live batches ChangeFeed keeps, so as not to read them twice.
	cachedTransactions = 1 << 17

	maxParserLanes = 10_000
)

// ChangeFeed reads how batches begin and end, in the order of the log, from the place given to Booked. It is for one goroutine,
// and holds no lock while it reads.
type ChangeFeed struct {
	spool    *Spool
	from     uint64 // frames before it are read only to learn where the batches are
	next     uint64
	lastNext uint64 // Next of the last page
	follow   wal.Follower
	payload  []byte // of the frame that is being processed; nil: none
	done     int    // bytes of it that were processed
	failed   bool   // the last step ended with an error: the next one continues its page

	live    map[BatchID]recorded
	cached  int // transactions in them
	staged  []recorded
	cut     uint64
	changes map[BatchID][]changeRecord
	page    ChangePage
	parser  *index // parses records; not the spool's index, so that lanes that ended are not kept there
}

// recorded is the place of a live batch's record, and the batch itself if it is cached.
type recorded struct {
	id      BatchID
	segment *wal.Segment
	offset  int64
	length  int64
	batch   *Batch

	attempted int64 // Unix seconds of the last attempt; 0: none that is known
}

// ChangeFeed returns the reader, which begins at the place given to Booked. There is one at a time.
func (s *Spool) ChangeFeed() *ChangeFeed { return s.ChangesFrom(s.batches.booked.Load()) }

// ChangesFrom returns another reader, which begins at next and is for reading up to ChangesEnd: its Next may not be woken by later
// records. KeepFrom keeps the records that it reads.
func (s *Spool) ChangesFrom(next uint64) *ChangeFeed {
	return &ChangeFeed{
		spool: s, from: max(next, 1), live: make(map[BatchID]recorded), changes: make(map[BatchID][]changeRecord),
		parser: newIndex(&counters{}), follow: wal.NewFollower(s.batches.log),
	}
}

// Booked says that the reader has durably processed everything before a page's Next, so that it need not be kept any longer. 1
// stands for a new reader, 0 ends keeping. A value behind the end of the log belongs to another directory and counts as 1.
func (s *Spool) Booked(next uint64) {
	if next > s.ChangesEnd() {
		next = 1
	}
	s.batches.booked.Store(next)
	_ = s.batches.removeEnded() // on an error the next end of a batch retries
}

// KeepFrom keeps the records from next on for ChangesFrom, in addition to those that ChangeFeed has not read, within the space
// limit of Options.KeepChanges. 0, the initial value, keeps none; call KeepFrom before Booked.
func (s *Spool) KeepFrom(next uint64) {
	s.batches.kept.Store(min(next, s.ChangesEnd()))
	_ = s.batches.removeEnded() // on an error the next end of a batch retries
}

// ChangesAgree compares a place that ChangeFeed returned (ChangePage.Next and Sum) with the log as it is now. Records written
// after the end of the log was lost reuse the numbers of the lost ones, so the number alone does not tell. It reads the heads of
// one segment's frames. An error is one of reading: nothing follows from it, and the call can be repeated.
func (s *Spool) ChangesAgree(next uint64, sum uint32) (wal.Agreement, error) {
	return s.batches.log.Agrees(next, sum)
}

// ChangesEnd returns the sequence number behind the last record that ChangeFeed can read now.
func (s *Spool) ChangesEnd() uint64 { return s.batches.log.NextSequence() }

// Next returns the next page; it waits for one until ctx ends. The page is valid until the next call. After a read error it may
// be called again and continues at the same place: a record that cannot be read now is not skipped (I17).
func (c *ChangeFeed) Next(ctx context.Context) (*ChangePage, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := c.step()
		if err != nil {
			return nil, fmt.Errorf("spool: read batch log: %w", err)
		}
		if found {
			return &c.page, nil
		}
		select {
		case <-c.spool.batches.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close closes the file that is open.
func (c *ChangeFeed) Close() error { return c.follow.Close() }

// step reads frames until one contains an event, or everything durable was read. The page has no events if the last frames
// contain none.
func (c *ChangeFeed) step() (found bool, err error) {
	if !c.failed {
		c.page = ChangePage{Missed: c.page.Missed && c.page.Next == 0}
	}
	for more := true; more && err == nil && !found; {
		if c.payload != nil {
			found, err = c.records()
			continue
		}
		more, err = c.advance()
	}
	if err == nil && !found {
		found = c.page.Next > c.lastNext // frames without events count as read, too
	}
	if c.failed = err != nil; found {
		c.lastNext = c.page.Next
	}
	return found, err
}

// advance moves to the next frame. It returns false at the end.
func (c *ChangeFeed) advance() (more bool, err error) {
	what, err := c.follow.Step(c.next)
	s := c.follow.Segment
	switch {
	case err != nil || what == wal.AtEnd:
		return false, err
	case what == wal.AtSegment || what == wal.AtReleased:
		begun := c.next != 0 || c.from > 1 // a new reader begins with what is left
		if begun && s.First > c.next && s.First >= c.from || what == wal.AtReleased && c.follow.UpTo > c.from {
			c.page.Missed = true // it was removed to free space; or its records were lost after it was processed
		}
		c.next = max(c.next, s.First)
	case what == wal.AtDamage:
		c.page.Missed = true
	case what == wal.AtFrame:
		if f := c.follow.Frame; f.Next() > c.next || c.next == f.First {
			c.payload, c.done = c.follow.Payload, 0
		}
	}
	return true, nil
}

// records processes the records of the frame, from where it was interrupted. It reports whether there is something to return.
// After an error no part of the record that needed the unreadable bytes has been applied.
func (c *ChangeFeed) records() (bool, error) {
	f := c.follow.Frame
	tell := f.Next() > c.from
	if len(c.parser.lanes) > maxParserLanes {
		c.parser = newIndex(&counters{})
	}
	for c.done < len(c.payload) {
		body, rest := cutRecord(c.payload[c.done:])
		if body == nil {
			c.page.Missed = true // the frame's checksum holds, so it was written like this
			break
		}
		r, err := c.parser.parseRecord(body, c.done)
		if err != nil {
			c.page.Missed = true
		} else if err := c.record(r, body, c.follow.At+wal.FrameHead, tell); err != nil {
			return false, err
		}
		c.done = len(c.payload) - len(rest)
	}
	clear(c.changes)
	c.payload, c.next = nil, f.Next()
	if !tell {
		c.page.Events, c.page.Missed = c.page.Events[:0], false
		return false, nil
	}
	c.page.Next, c.page.Sum = f.Next(), f.HeadSum()
	return len(c.page.Events) > 0 || c.page.Missed, nil
}

// record processes one record. Everything it needs is read before anything is changed.
func (c *ChangeFeed) record(r *record, body []byte, base int64, tell bool) error {
	here := recorded{segment: c.follow.Segment}
	if r.entry != nil {
		here.id, here.offset, here.length = r.entry.id, base+r.entry.offset, int64(r.entry.length)
	}
	switch r.kind {
	case recordAccount:
		if id, all, err := parseChange(append([]byte(nil), body[1:]...)); err == nil {
			c.changes[id] = all
		}
	case recordBatch:
		if r.cut != c.cut {
			c.staged, c.cut = c.staged[:0], r.cut
		}
		if tell {
			here.batch = c.parse(body)
		}
		c.staged = append(c.staged, here)
	case recordCut:
		if r.cut != c.cut {
			c.staged = c.staged[:0]
		}
		return c.activate(r.upTo, tell)
	case recordTotals:
		if len(c.staged) > 0 && r.committed >= c.staged[0].id.Position { // the cut's own record is damaged
			return c.activate(r.committed, tell)
		}
	case recordMoved:
		here.batch, here.attempted = c.live[here.id].batch, c.live[here.id].attempted
		c.live[here.id] = here
	case recordRequeued:
		here.batch = c.parse(body)
		c.begin(here, BatchRequeued, tell)
	case recordAttempt, recordNote:
		if live, known := c.live[r.id]; known && r.at != 0 {
			live.attempted = time.Unix(0, r.at).Unix()
			c.live[r.id] = live
		}
	case recordAmbiguous:
		if tell {
			b, err := c.batch(r.id)
			if b != nil {
				c.addEvent(BatchEvent{Kind: BatchAmbiguous, Batch: b, Attempted: c.live[r.id].attempted})
			}
			return err
		}
	case recordResolved, recordLost:
		return c.end(r, base, tell)
	}
	return nil
}

// activate begins the staged batches of a cut.
func (c *ChangeFeed) activate(upTo Position, tell bool) error {
	for i := range c.staged {
		r := &c.staged[i]
		if tell && r.batch == nil && r.id.Position == upTo { // its cut began before the place where the reader began
			b, err := c.load(*r)
			if err != nil {
				return err
			}
			r.batch = b
		}
	}
	for _, r := range c.staged {
		if r.id.Position == upTo {
			c.begin(r, BatchSealed, tell)
		}
	}
	c.staged = c.staged[:0]
	return nil
}

// begin adds a live batch.
func (c *ChangeFeed) begin(r recorded, kind BatchEventKind, tell bool) {
	b := r.batch
	if b != nil && c.cached+len(b.Transactions) > cachedTransactions {
		r.batch = nil
	} else if b != nil {
		c.cached += len(b.Transactions)
	}
	c.live[r.id] = r
	if !tell || b == nil {
		c.page.Missed = c.page.Missed || tell
		return
	}
	event := BatchEvent{Kind: kind, Batch: b}
	for i := range c.changes[r.id] {
		if change := &c.changes[r.id][i]; change.role == roleMoved {
			event.Was = append(event.Was, change.Transaction)
		}
	}
	c.addEvent(event)
}

// end removes a batch, and adds its children.
func (c *ChangeFeed) end(r *record, base int64, tell bool) error {
	b := (*Batch)(nil)
	if tell {
		var err error
		if b, err = c.batch(r.id); err != nil {
			return err
		}
	}
	c.cached -= len(c.live[r.id].transactions())
	delete(c.live, r.id)
	event := BatchEvent{Kind: BatchLost, Batch: b}
	if r.kind == recordResolved {
		event.Kind = BatchEnded
		c.children(r, base, &event)
		for _, change := range c.changes[r.id] {
			switch change.role {
			case roleDead:
				event.Dead = append(event.Dead, change.Transaction)
			case roleLate:
				event.Late = append(event.Late, LateTransaction{change.Transaction, change.at})
			}
		}
		if r.dead > 0 && len(event.Dead) == 0 {
			c.page.Missed = c.page.Missed || tell // written by a version without account records
		}
	}
	if tell && b != nil {
		c.addEvent(event)
	}
	return nil
}

// children adds the batches inside a record that ended another one.
func (c *ChangeFeed) children(r *record, base int64, event *BatchEvent) {
	for _, e := range r.children {
		here := recorded{id: e.id, segment: c.follow.Segment, offset: base + e.offset, length: int64(e.length)}
		if child, _ := cutRecord(c.payload[e.offset:][:e.length]); child != nil {
			here.batch = c.parse(child)
		}
		if here.batch == nil {
			c.page.Missed = true
			continue
		}
		event.Children = append(event.Children, here.batch)
		c.cached += len(here.batch.Transactions)
		c.live[e.id] = here
	}
}

// batch returns a live batch, from the cache or from its record; nil if there is none.
func (c *ChangeFeed) batch(id BatchID) (b *Batch, err error) {
	r, ok := c.live[id]
	if b = r.batch; b == nil && ok {
		b, err = c.load(r)
	}
	if b == nil && err == nil {
		c.page.Missed = true
	}
	return b, err
}

// load reads a batch from its record; nil if that is damaged, or was removed to free space.
func (c *ChangeFeed) load(r recorded) (*Batch, error) {
	body, err := c.spool.batches.record(r.segment, r.offset, r.length)
	if errors.Is(err, ErrDamaged) || errors.Is(err, wal.ErrReleased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return c.parse(body), nil
}

// parse reads a batch from a record, into its own memory.
func (c *ChangeFeed) parse(body []byte) *Batch {
	b, err := c.parser.parseBatch(append([]byte(nil), body...))
	if err != nil {
		return nil
	}
	return b
}

func (c *ChangeFeed) addEvent(event BatchEvent) { c.page.Events = append(c.page.Events, event) }

func (r recorded) transactions() []Transaction {
	if r.batch == nil {
		return nil
	}
	return r.batch.Transactions
}
