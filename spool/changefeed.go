package spool

import (
	"context"
	"errors"
	"fmt"

	"github.com/reporterd/reporterd/spool/wal"
)

const (
	// changesQuota is the part of the quota that ended batches may take up until they are booked, and
	// changesSpare that part where there is no quota.
	changesQuota = 8
	changesSpare = 1 << 30

	// cachedTransactions bounds what ChangeFeed keeps of batches that have not ended, so as not to read them twice.
	cachedTransactions = 1 << 17

	maxParserLanes = 10_000
)

// ChangeFeed reads what became of batches, in the order of the log, from where Booked says on. It is for one goroutine,
// and holds no lock while it reads.
type ChangeFeed struct {
	spool   *Spool
	from    uint64 // what is before is only looked at, to know where the batches are
	next    uint64
	told    uint64 // the last page's Next
	follow  wal.Follower
	payload []byte // of the frame that is gone over; nil: none is
	done    int    // bytes of it that were
	failed  bool   // the last step ended with an error: its page goes on

	live   map[BatchID]recorded
	cached int // transactions in them
	staged []recorded
	cut    uint64
	asides map[BatchID][]changeRecord
	page   ChangePage
	parser *index // reads records; of its own, so that ended lanes do not live on in the spool's
}

// recorded is where the record of a live batch is, and the batch itself if it is at hand.
type recorded struct {
	id      BatchID
	segment *wal.Segment
	offset  int64
	length  int64
	batch   *Batch
}

// ChangeFeed returns the reader, which begins where Booked says. There is one at a time.
func (s *Spool) ChangeFeed() *ChangeFeed { return s.ChangesFrom(s.batches.booked.Load()) }

// ChangesFrom returns another reader, which begins at next, for reading up to ChangesEnd: its Next may miss the wake-up for
// what is written later. KeepFrom has what it reads kept.
func (s *Spool) ChangesFrom(next uint64) *ChangeFeed {
	return &ChangeFeed{
		spool: s, from: max(next, 1), live: make(map[BatchID]recorded), asides: make(map[BatchID][]changeRecord),
		parser: newIndex(&counters{}), follow: wal.NewFollower(s.batches.log),
	}
}

// Booked says that everything before a page's Next is booked, durably, and need not be kept any longer. 1 is a new
// reader's, and 0 says that nobody reads any more. What is behind the end belongs to another directory: it is taken
// for 1.
func (s *Spool) Booked(next uint64) {
	if next > s.ChangesEnd() {
		next = 1
	}
	s.batches.booked.Store(next)
	_ = s.batches.removeEnded() // the next end of a batch tries again
}

// KeepFrom has the records from next on kept for ChangesFrom, as Options.KeepChanges does and in the same space, beside what
// ChangeFeed has not read. 0, the value at the start, says that none are needed; call it before Booked.
func (s *Spool) KeepFrom(next uint64) {
	s.batches.kept.Store(min(next, s.ChangesEnd()))
	_ = s.batches.removeEnded() // the next end of a batch tries again
}

// ChangesAgree holds a place that ChangeFeed told (ChangePage.Next and Sum) against the log as it is now. Records behind a lost
// end get the numbers of those that were lost, so the number alone does not tell. It reads the heads of one segment's frames.
// An error is the disk's: nothing follows from it, and the call can be repeated.
func (s *Spool) ChangesAgree(next uint64, sum uint32) (wal.Agreement, error) {
	return s.batches.log.Agrees(next, sum)
}

// ChangesEnd returns the sequence number behind the last record that ChangeFeed can read by now.
func (s *Spool) ChangesEnd() uint64 { return s.batches.log.NextSequence() }

// Next returns the next page, and waits for one until ctx ends. The page is valid until the next call.
// After an error of the disk it may be called again, and goes on where it was: nothing is missed for not being
// readable (I17).
func (a *ChangeFeed) Next(ctx context.Context) (*ChangePage, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		found, err := a.step()
		if err != nil {
			return nil, fmt.Errorf("spool: read batch log: %w", err)
		}
		if found {
			return &a.page, nil
		}
		select {
		case <-a.spool.batches.wake:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Close releases the file under the reader.
func (a *ChangeFeed) Close() error { return a.follow.Close() }

// step reads frames until one has something to tell, or everything durable was read. The page has no accounts when the
// last frames tell nothing.
func (a *ChangeFeed) step() (found bool, err error) {
	if !a.failed {
		a.page = ChangePage{Missed: a.page.Missed && a.page.Next == 0}
	}
	for more := true; more && err == nil && !found; {
		if a.payload != nil {
			found, err = a.records()
			continue
		}
		more, err = a.advance()
	}
	if err == nil && !found {
		found = a.page.Next > a.told // frames that tell nothing are read, too
	}
	if a.failed = err != nil; found {
		a.told = a.page.Next
	}
	return found, err
}

// advance goes on to the next frame. It returns false at the end.
func (a *ChangeFeed) advance() (more bool, err error) {
	what, err := a.follow.Step(a.next)
	s := a.follow.Segment
	switch {
	case err != nil || what == wal.AtEnd:
		return false, err
	case what == wal.AtSegment || what == wal.AtReleased:
		begun := a.next != 0 || a.from > 1 // a new reader begins with what there is
		if begun && s.First > a.next && s.First >= a.from || what == wal.AtReleased && a.follow.UpTo > a.from {
			a.page.Missed = true // it was given up, also when what follows was booked before its records were lost
		}
		a.next = max(a.next, s.First)
	case what == wal.AtDamage:
		a.page.Missed = true
	case what == wal.AtFrame:
		if f := a.follow.Frame; f.Next() > a.next || a.next == f.First {
			a.payload, a.done = a.follow.Payload, 0
		}
	}
	return true, nil
}

// records goes over the records of the frame, from where it was interrupted. It reports whether there is something to
// tell. After an error nothing of the record that needs what could not be read has happened.
func (a *ChangeFeed) records() (bool, error) {
	f := a.follow.Frame
	tell := f.Next() > a.from
	if len(a.parser.lanes) > maxParserLanes {
		a.parser = newIndex(&counters{})
	}
	for a.done < len(a.payload) {
		body, rest := cutRecord(a.payload[a.done:])
		if body == nil {
			a.page.Missed = true // its frame holds: it was written so
			break
		}
		r, err := a.parser.parseRecord(body, a.done)
		if err != nil {
			a.page.Missed = true
		} else if err := a.record(r, body, a.follow.At+wal.FrameHead, tell); err != nil {
			return false, err
		}
		a.done = len(a.payload) - len(rest)
	}
	clear(a.asides)
	a.payload, a.next = nil, f.Next()
	if !tell {
		a.page.Events, a.page.Missed = a.page.Events[:0], false
		return false, nil
	}
	a.page.Next, a.page.Sum = f.Next(), f.HeadSum()
	return len(a.page.Events) > 0 || a.page.Missed, nil
}

// record follows one record. What it needs is read before anything is changed.
func (a *ChangeFeed) record(r *record, body []byte, base int64, tell bool) error {
	here := recorded{segment: a.follow.Segment}
	if r.entry != nil {
		here.id, here.offset, here.length = r.entry.id, base+r.entry.offset, int64(r.entry.length)
	}
	switch r.kind {
	case recordAccount:
		if id, all, err := parseChange(append([]byte(nil), body[1:]...)); err == nil {
			a.asides[id] = all
		}
	case recordBatch:
		if r.cut != a.cut {
			a.staged, a.cut = a.staged[:0], r.cut
		}
		if tell {
			here.batch = a.parse(body)
		}
		a.staged = append(a.staged, here)
	case recordCut:
		if r.cut != a.cut {
			a.staged = a.staged[:0]
		}
		return a.activate(r.upTo, tell)
	case recordTotals:
		if len(a.staged) > 0 && r.committed >= a.staged[0].id.Position { // the cut's own record is damaged
			return a.activate(r.committed, tell)
		}
	case recordMoved:
		here.batch = a.live[here.id].batch
		a.live[here.id] = here
	case recordRequeued:
		here.batch = a.parse(body)
		a.begin(here, BatchRequeued, tell)
	case recordAmbiguous:
		if tell {
			b, err := a.batch(r.id)
			if b != nil {
				a.tell(BatchEvent{Kind: BatchAmbiguous, Batch: b})
			}
			return err
		}
	case recordResolved, recordLost:
		return a.end(r, base, tell)
	}
	return nil
}

// activate begins the staged batches of a cut.
func (a *ChangeFeed) activate(upTo Position, tell bool) error {
	for i := range a.staged {
		r := &a.staged[i]
		if tell && r.batch == nil && r.id.Position == upTo { // its cut began before the place where reading began
			b, err := a.load(*r)
			if err != nil {
				return err
			}
			r.batch = b
		}
	}
	for _, r := range a.staged {
		if r.id.Position == upTo {
			a.begin(r, BatchSealed, tell)
		}
	}
	a.staged = a.staged[:0]
	return nil
}

// begin knows a live batch from now on.
func (a *ChangeFeed) begin(r recorded, kind BatchEventKind, tell bool) {
	b := r.batch
	if b != nil && a.cached+len(b.Transactions) > cachedTransactions {
		r.batch = nil
	} else if b != nil {
		a.cached += len(b.Transactions)
	}
	a.live[r.id] = r
	if !tell || b == nil {
		a.page.Missed = a.page.Missed || tell
		return
	}
	account := BatchEvent{Kind: kind, Batch: b}
	for i := range a.asides[r.id] {
		if aside := &a.asides[r.id][i]; aside.role == roleMoved {
			account.Was = &aside.Transaction
		}
	}
	a.tell(account)
}

// end forgets a batch, and knows its children.
func (a *ChangeFeed) end(r *record, base int64, tell bool) error {
	b := (*Batch)(nil)
	if tell {
		var err error
		if b, err = a.batch(r.id); err != nil {
			return err
		}
	}
	a.cached -= len(a.live[r.id].transactions())
	delete(a.live, r.id)
	account := BatchEvent{Kind: BatchLost, Batch: b}
	if r.kind == recordResolved {
		account.Kind = BatchEnded
		a.children(r, base, &account)
		for _, aside := range a.asides[r.id] {
			switch aside.role {
			case roleDead:
				account.Dead = append(account.Dead, aside.Transaction)
			case roleLate:
				account.Late = append(account.Late, LateTransaction{aside.Transaction, aside.at})
			}
		}
		if r.dead > 0 && len(account.Dead) == 0 {
			a.page.Missed = a.page.Missed || tell // written before records of this kind were
		}
	}
	if tell && b != nil {
		a.tell(account)
	}
	return nil
}

// children knows the batches inside a record that ended another.
func (a *ChangeFeed) children(r *record, base int64, account *BatchEvent) {
	for _, e := range r.children {
		here := recorded{id: e.id, segment: a.follow.Segment, offset: base + e.offset, length: int64(e.length)}
		if child, _ := cutRecord(a.payload[e.offset:][:e.length]); child != nil {
			here.batch = a.parse(child)
		}
		if here.batch == nil {
			a.page.Missed = true
			continue
		}
		account.Children = append(account.Children, here.batch)
		a.cached += len(here.batch.Transactions)
		a.live[e.id] = here
	}
}

// batch returns a live batch, from memory or from where it was recorded; nil where there is none to be had.
func (a *ChangeFeed) batch(id BatchID) (b *Batch, err error) {
	r, known := a.live[id]
	if b = r.batch; b == nil && known {
		b, err = a.load(r)
	}
	if b == nil && err == nil {
		a.page.Missed = true
	}
	return b, err
}

// load reads a batch from where it was recorded; nil when it is damaged, or was given up.
func (a *ChangeFeed) load(r recorded) (*Batch, error) {
	body, err := a.spool.batches.record(r.segment, r.offset, r.length)
	if errors.Is(err, ErrDamaged) || errors.Is(err, wal.ErrReleased) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return a.parse(body), nil
}

// parse reads a batch out of a record, in memory of its own.
func (a *ChangeFeed) parse(body []byte) *Batch {
	b, err := a.parser.parseBatch(append([]byte(nil), body...))
	if err != nil {
		return nil
	}
	return b
}

func (a *ChangeFeed) tell(account BatchEvent) { a.page.Events = append(a.page.Events, account) }

func (r recorded) transactions() []Transaction {
	if r.batch == nil {
		return nil
	}
	return r.batch.Transactions
}
