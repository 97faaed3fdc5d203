package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
)

const (
	// accountsQuota is the part of the quota that ended batches may take up until they are booked, and
	// accountsSpare that part where there is no quota.
	accountsQuota = 8
	accountsSpare = 1 << 30

	// cachedTransactions bounds what Accounts keeps of batches that have not ended, so as not to read them twice.
	cachedTransactions = 1 << 17

	maxParserLanes = 10_000
)

// Accounts reads what became of batches, in the order of the log, from where Booked says on. It is for one goroutine,
// and holds no lock while it reads.
type Accounts struct {
	spool   *Spool
	from    uint64 // what is before is only looked at, to know where the batches are
	next    uint64
	told    uint64 // the last page's Next
	segment *segment
	scan    scanner
	off     int64

	live   map[BatchID]recorded
	cached int // transactions in them
	staged []recorded
	cut    uint64
	asides map[BatchID][]accounted
	page   AccountPage
	parser *index // reads records; of its own, so that ended lanes do not live on in the spool's
}

// recorded is where the record of a live batch is, and the batch itself if it is at hand.
type recorded struct {
	id      BatchID
	segment *segment
	offset  int64
	length  int64
	batch   *Batch
}

// Accounts returns the reader, which begins where Booked says. There is one at a time.
func (s *Spool) Accounts() *Accounts {
	return &Accounts{
		spool: s, from: max(s.batches.booked.Load(), 1), live: make(map[BatchID]recorded), asides: make(map[BatchID][]accounted),
		parser: newIndex(&tally{}),
	}
}

// Booked says that everything before a page's Next is booked, durably, and need not be kept any longer. 1 is a new
// reader's, and 0 says that nobody reads any more. What is behind the end belongs to another directory: it is taken
// for 1.
func (s *Spool) Booked(next uint64) {
	if next > s.AccountsEnd() {
		next = 1
	}
	s.batches.booked.Store(next)
	_ = s.batches.drop() // the next end of a batch tries again
}

// AccountsEnd returns the sequence number behind the last record that Accounts can read by now.
func (s *Spool) AccountsEnd() uint64 { return s.batches.log.nextSequence() }

// Next returns the next page, and waits for one until ctx ends. The page is valid until the next call.
// After an error of the disk it may be called again.
func (a *Accounts) Next(ctx context.Context) (*AccountPage, error) {
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
func (a *Accounts) Close() error {
	if a.scan.file == nil {
		return nil
	}
	err := a.scan.file.Close()
	a.scan.file = nil
	return err
}

// step reads frames until one has something to tell, or everything durable was read. The page has no accounts when the
// last frames tell nothing.
func (a *Accounts) step() (bool, error) {
	log := a.spool.batches.log
	a.page = AccountPage{Missed: a.page.Missed && a.page.Next == 0}
	for {
		if a.segment == nil {
			first := log.holding(a.next)
			if first == nil {
				return false, nil
			}
			if err := a.enter(first); err != nil {
				return false, err
			}
		}
		end, following := log.extent(a.segment)
		a.scan.size = end // I2
		if a.off < end {
			found, err := a.read(following)
			if found {
				a.told = a.page.Next
			}
			if found || err != nil {
				return found, err
			}
			continue
		}
		if following == nil {
			news := a.page.Next > a.told // frames that tell nothing are read, too
			a.told = max(a.told, a.page.Next)
			return news, nil
		}
		if err := a.enter(following); err != nil {
			return false, err
		}
	}
}

// enter opens a segment. One that has gone was given up.
func (a *Accounts) enter(s *segment) error {
	log := a.spool.batches.log
	if err := a.Close(); err != nil {
		return err
	}
	begun := a.next != 0 || a.from > 1                  // a new reader begins with what there is
	if begun && s.first > a.next && s.first >= a.from { // also when what follows was booked before its records were lost
		a.page.Missed = true
	}
	file, err := log.fs.OpenFile(log.path(s.name()), os.O_RDONLY, 0)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err != nil {
		if away := log.presence.look(); away != nil {
			return away
		}
	}
	a.segment, a.off, a.next = s, segmentHead, max(a.next, s.first)
	a.scan = scanner{file: file, window: a.scan.window[:0]}
	if err != nil {
		a.off, _ = log.extent(s)
		a.page.Missed = a.page.Missed || log.reach(s) > a.from
	}
	return nil
}

// read takes the frame at off. It reports whether it has something to tell.
func (a *Accounts) read(following *segment) (bool, error) {
	f, payload, err := a.scan.read(a.off)
	switch {
	case errors.Is(err, errNoFrame), errors.Is(err, errBadFrame), errors.Is(err, errBadBody):
		at, _ := a.scan.resync(a.off+1, a.next, a.spool.batches.log.reach(a.segment))
		if a.off = at; at < 0 {
			a.off, _ = a.spool.batches.log.extent(a.segment)
		}
		a.page.Missed = true
		return false, nil
	case err != nil:
		return false, err
	}
	at := a.off
	a.off += f.size()
	if f.kind != frameData || f.next() <= a.next && a.next != f.first || following != nil && f.first >= following.first {
		return false, nil // a footer, or superseded (I6)
	}
	a.next = f.next()
	a.frame(payload, at+frameHead, f.next() > a.from)
	if f.next() <= a.from {
		a.page.Accounts, a.page.Missed = a.page.Accounts[:0], false
		return false, nil
	}
	a.page.Next = f.next()
	return len(a.page.Accounts) > 0 || a.page.Missed, nil
}

// frame goes over the records of a frame.
func (a *Accounts) frame(payload []byte, base int64, tell bool) {
	if len(a.parser.lanes) > maxParserLanes {
		a.parser = newIndex(&tally{})
	}
	for rest := payload; len(rest) > 0; {
		at := int64(len(payload) - len(rest))
		var body []byte
		if body, rest = cutRecord(rest); body == nil {
			a.page.Missed = true
			return
		}
		r, err := a.parser.parseRecord(body, int(at))
		if err != nil {
			a.page.Missed = true
			continue
		}
		a.record(r, body, base, tell)
	}
	clear(a.asides)
}

// record follows one record.
func (a *Accounts) record(r *record, body []byte, base int64, tell bool) {
	here := recorded{segment: a.segment}
	if r.entry != nil {
		here.id, here.offset, here.length = r.entry.id, base+r.entry.offset, int64(r.entry.length)
	}
	switch r.kind {
	case recordAccount:
		if id, all, err := parseAccount(append([]byte(nil), body[1:]...)); err == nil {
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
		a.enliven(r.upTo, tell)
	case recordTotals:
		if len(a.staged) > 0 && r.committed >= a.staged[0].id.Position { // the cut's own record is damaged
			a.enliven(r.committed, tell)
		}
	case recordMoved:
		here.batch = a.live[here.id].batch
		a.live[here.id] = here
	case recordRequeued:
		here.batch = a.parse(body)
		a.begin(here, AccountRequeued, tell)
	case recordAmbiguous:
		if tell {
			if b := a.batch(r.id); b != nil {
				a.tell(Account{Kind: AccountAmbiguous, Batch: b})
			}
		}
	case recordResolved, recordLost:
		a.end(r, base, tell)
	}
}

// enliven begins the staged batches of a cut.
func (a *Accounts) enliven(upTo Position, tell bool) {
	for _, r := range a.staged {
		if r.id.Position == upTo {
			a.begin(r, AccountSealed, tell)
		}
	}
	a.staged = a.staged[:0]
}

// begin knows a live batch from now on.
func (a *Accounts) begin(r recorded, kind AccountKind, tell bool) {
	if tell && r.batch == nil { // its cut began before the place where reading began
		r.batch = a.load(r)
	}
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
	account := Account{Kind: kind, Batch: b}
	for i := range a.asides[r.id] {
		if aside := &a.asides[r.id][i]; aside.role == roleMoved {
			account.Was = &aside.Transaction
		}
	}
	a.tell(account)
}

// end forgets a batch, and knows its children.
func (a *Accounts) end(r *record, base int64, tell bool) {
	b := (*Batch)(nil)
	if tell {
		b = a.batch(r.id)
	}
	a.cached -= len(a.live[r.id].transactions())
	delete(a.live, r.id)
	account := Account{Kind: AccountLost, Batch: b}
	if r.kind == recordResolved {
		account.Kind = AccountEnded
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
}

// children knows the batches inside a record that ended another.
func (a *Accounts) children(r *record, base int64, account *Account) {
	for _, e := range r.children {
		here := recorded{id: e.id, segment: a.segment, offset: base + e.offset, length: int64(e.length)}
		data := make([]byte, e.length)
		if err := a.spool.batches.log.readAt(a.segment, data, here.offset); err == nil {
			if child, _ := cutRecord(data); child != nil {
				here.batch, _ = a.parser.parseBatch(child)
			}
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

// batch returns a live batch, from memory or from where it was recorded.
func (a *Accounts) batch(id BatchID) *Batch {
	r, known := a.live[id]
	if r.batch == nil && known {
		r.batch = a.load(r)
	}
	if r.batch == nil {
		a.page.Missed = true
	}
	return r.batch
}

// load reads a batch from where it was recorded; nil when that cannot be read.
func (a *Accounts) load(r recorded) *Batch {
	data := make([]byte, r.length)
	if err := a.spool.batches.log.readAt(r.segment, data, r.offset); err == nil {
		if body, _ := cutRecord(data); body != nil {
			return a.parse(body)
		}
	}
	return nil
}

// parse reads a batch out of a record, in memory of its own.
func (a *Accounts) parse(body []byte) *Batch {
	b, err := a.parser.parseBatch(append([]byte(nil), body...))
	if err != nil {
		return nil
	}
	return b
}

func (a *Accounts) tell(account Account) { a.page.Accounts = append(a.page.Accounts, account) }

func (r recorded) transactions() []Transaction {
	if r.batch == nil {
		return nil
	}
	return r.batch.Transactions
}
