package spool_test

import (
	"context"
	"errors"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
)

// state is everything that can be seen of a spool at rest.
type state struct {
	committed spool.Position
	journal   []*entry
	infos     map[spool.BatchID]spool.BatchInfo
	batches   map[spool.BatchID]*spool.Batch
	letters   []spool.DeadLetter
	counts    spool.Counts
	damaged   []spool.BatchID
}

// look reads the whole state of a spool that is not in use. What the tail hands out goes into the
// book at once: from then on it must stay. An error is the disk's.
func look(ctx context.Context, s *spool.Spool, b *book) (*state, error) {
	st := &state{
		committed: s.Committed(), counts: s.Counts(),
		infos: map[spool.BatchID]spool.BatchInfo{}, batches: map[spool.BatchID]*spool.Batch{},
	}
	if err := st.readJournal(ctx, s, b); err != nil {
		return nil, err
	}
	for _, info := range s.Batches() {
		st.infos[info.ID] = info
		batch, err := s.Load(info.ID)
		if errors.Is(err, spool.ErrDamaged) {
			st.damaged = append(st.damaged, info.ID)
			continue
		}
		if err != nil {
			return nil, err
		}
		st.batches[info.ID] = batch
	}
	var cursor string
	for {
		page, next, err := s.DeadLetters(spool.DeadLetterQuery{Limit: 7, Cursor: cursor})
		if err != nil {
			return nil, err
		}
		st.letters = append(st.letters, page...)
		if cursor = next; cursor == "" {
			return st, nil
		}
	}
}

// readJournal reads everything behind the last cut.
func (st *state) readJournal(ctx context.Context, s *spool.Spool, b *book) error {
	tail := s.Tail()
	defer func() { _ = tail.Close() }()
	for at := st.committed; uint64(at) < st.counts.Accepted; {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		group, err := tail.Next(ctx)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			if !b.damaged {
				b.fault("the tail ends at position %d, %d events were accepted", at, st.counts.Accepted)
			}
			return nil
		}
		if err != nil {
			return err
		}
		at = group.Last
		st.journal = append(st.journal, receive(group, b)...)
	}
	return nil
}

// receive books a group that the tail handed out.
func receive(group *spool.Group, b *book) []*entry {
	var entries []*entry
	at := group.First
	group.Events(func(got *event.Event) bool {
		if e := b.handedOut(at, got); e != nil {
			entries = append(entries, e)
		}
		at++
		return true
	})
	if at != group.Last+1 || group.Count != int(group.Last-group.First+1) {
		b.fault("group %d to %d counts %d events and holds %d", group.First, group.Last, group.Count, at-group.First)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		b.groups[e] = entries
	}
	return entries
}

// reconcile compares a recovered state with what is permitted, and makes the book certain of it.
func (b *book) reconcile(st *state) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reconcileCutLocked(st)
	for _, s := range b.live {
		if s.outcome == nil {
			continue
		}
		if _, still := st.infos[s.batch.ID]; !still {
			b.applyOutcomeLocked(s)
		}
		s.outcome = nil
	}
	b.reconcileDugLocked(st)
	b.reconcileBatchesLocked(st)
	b.reconcileEventsLocked(st)
	b.reconcileLettersLocked(st)
	b.reconcileCountsLocked(st)
}

// reconcileCutLocked finds out which cut of those in doubt happened.
func (b *book) reconcileCutLocked(st *state) {
	for _, p := range b.doubtful {
		if p.upTo == st.committed && p.matches(st) {
			b.applyCutLocked(p)
			break
		}
	}
	b.doubtful = nil
	if st.committed != b.committed {
		b.violateLocked("everything up to %d is sealed, it should be %d", st.committed, b.committed)
	}
}

// matches reports whether the batches of a plan are those that are live.
func (p *cutPlan) matches(st *state) bool {
	for _, s := range p.batches {
		if got := st.batches[s.batch.ID]; got == nil || !sameBatch(&s.batch, got) {
			return false
		}
	}
	return true
}

// reconcileBatchesLocked compares the live batches.
func (b *book) reconcileBatchesLocked(st *state) {
	for id, s := range b.live {
		info, ok := st.infos[id]
		if !ok {
			b.violateLocked("batch %v with %d events is gone", id, s.events())
			continue
		}
		if got := st.batches[id]; got != nil && !sameBatch(&s.batch, got) && !b.resurrectLocked(got) {
			b.violateLocked("batch %v came back as %+v", id, got)
		}
		s = b.live[id]
		if int(info.Events) != s.events() || info.Transactions != len(s.entries) || info.Lane != s.batch.Lane {
			b.violateLocked("the index says of batch %v: %+v", id, info)
		}
		if info.Attempts == s.tries && info.Attempts == s.attempts && info.Receipt != s.receipt {
			b.violateLocked("batch %v has the receipt %q, not %q", id, info.Receipt, s.receipt)
		}
		if info.Attempts < s.attempts || info.Attempts > s.tries {
			b.violateLocked("batch %v: %d attempts, of %d recorded and %d tried", id, info.Attempts, s.attempts, s.tries)
		}
		if info.Ambiguous < s.ambiguous || info.Ambiguous > max(s.doubts, info.Attempts) {
			b.violateLocked("batch %v: %d ambiguous, of %d recorded and %d tried", id, info.Ambiguous, s.ambiguous, s.doubts)
		}
		s.attempts, s.tries, s.receipt = info.Attempts, info.Attempts, info.Receipt
		s.ambiguous, s.doubts = info.Ambiguous, info.Ambiguous
	}
	for id := range st.infos {
		if b.live[id] == nil && !b.resurrectLocked(st.batches[id]) {
			b.violateLocked("batch %v is live, and was never committed, or is resolved", id)
		}
	}
	if len(st.damaged) > 0 {
		b.violateLocked("batches %v cannot be read", st.damaged)
	}
}

// reconcileEventsLocked checks that each event is where it must be, once.
func (b *book) reconcileEventsLocked(st *state) {
	found := map[*entry]bool{}
	for _, e := range st.journal {
		found[e] = true
	}
	for _, e := range b.entries {
		switch {
		case e.certain && (e.at == nowhere || e.at == inJournal && !found[e]):
			b.violateLocked("event %d (position %d) was acknowledged or handed out, and is gone", e.serial, e.position)
		case found[e] && e.at != inJournal:
			b.violateLocked("event %d is in the journal, and in a batch or behind it", e.serial)
		}
		e.possible = false // not found, and must not come back
	}
}

// reconcileLettersLocked compares the dead letters.
func (b *book) reconcileLettersLocked(st *state) {
	letters := map[*entry]bool{}
	for _, l := range st.letters {
		for _, value := range l.Usage {
			if serial := int(value) - 1; serial < len(b.entries) {
				letters[b.entries[serial]] = true
			}
		}
	}
	for _, e := range b.entries {
		if letters[e] != (e.at == isDead) && !e.hit {
			b.violateLocked("event %d: dead letter %v, it should be %v", e.serial, letters[e], e.at == isDead)
		}
	}
}

// reconcileCountsLocked compares the figures.
func (b *book) reconcileCountsLocked(st *state) {
	want := spool.Counts{Duplicates: st.counts.Duplicates, Ambiguous: st.counts.Ambiguous}
	for _, e := range b.entries {
		if e.certain {
			want.Accepted++
		}
		switch e.at {
		case inJournal, inBatch:
			want.Pending++
		case isDelivered:
			want.Delivered++
		case isDead:
			want.Dead++
		case isLost:
			want.Lost++
		}
	}
	if got := st.counts; b.damaged && got.Accepted == want.Accepted && got.Pending >= want.Pending && got.Lost <= want.Lost &&
		got.Accepted == got.Delivered+got.Dead+got.Pending+got.Lost {
		return // a batch whose end is undone may be pending beside its children
	}
	if st.counts != want {
		b.violateLocked("counts are %+v, they should be %+v", st.counts, want)
	}
}
