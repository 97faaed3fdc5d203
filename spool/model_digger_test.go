package spool_test

import (
	"slices"
	"time"

	"github.com/reporterd/reporterd/spool"
)

// dig requeues some dead letters, at times with one that is not there.
func (q *sender) dig(s *spool.Spool) {
	page, _, err := s.DeadLetters(spool.DeadLetterQuery{Limit: 1 + q.rng.IntN(4)})
	if err != nil {
		q.complain("DeadLetters", err)
		return
	}
	ids := []string{"000000000000-0000-0000"}
	for i := range page {
		ids = append(ids, page[i].ID)
	}
	q.book.digging(page)
	done, _ := s.Requeue(ids[q.rng.IntN(2):], time.Time{}) // what it refuses stays dead
	for _, d := range done {
		batch, err := s.Load(d.Batch)
		if err != nil && isTrouble(err) {
			q.disk.Heal()
			batch, err = s.Load(d.Batch)
		}
		if err != nil {
			q.complain("Load", err)
			continue
		}
		q.book.dug(d.Letter.ID, batch)
	}
}

// digging notes that Requeue is about to be called: each letter may be live at the next start.
func (b *book) digging(page []spool.DeadLetter) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, d := range page {
		b.dubious[d.ID] = b.buriedLocked(&d)
	}
}

// buriedLocked returns the events of a dead letter.
func (b *book) buriedLocked(d *spool.DeadLetter) (entries []*entry) {
	for _, value := range d.Usage {
		if serial := int(value) - 1; serial >= 0 && serial < len(b.entries) {
			entries = append(entries, b.entries[serial])
		}
	}
	for _, e := range entries {
		if e.at != isDead {
			b.violateLocked("event %d has the dead letter %s, and is not dead", e.serial, d.ID)
		}
	}
	return entries
}

// dug notes that a letter is the only transaction of a live batch.
func (b *book) dug(letter string, got *spool.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.exhumedLocked(b.dubious[letter], got); s != nil {
		delete(b.dubious, letter)
		b.adoptLocked(s)
	} else {
		b.violateLocked("letter %s came back as %+v", letter, got)
	}
}

// exhumedLocked returns the batch that a letter of some events became, or nil when got is another.
func (b *book) exhumedLocked(entries []*entry, got *spool.Batch) *sealed {
	if len(entries) == 0 || len(got.Transactions) != 1 || !got.ID.Requeued() {
		return nil
	}
	t := got.Transactions[0]
	if int(t.Events) != len(entries) || len(t.Usage) != len(entries) {
		return nil
	}
	for _, e := range entries {
		same := e.event.ServiceID == got.Lane.ServiceID && e.event.Credentials == got.Lane.Credentials &&
			e.event.FlatUsage == got.FlatUsage && e.event.Application == t.Application
		if !same || !slices.Contains(t.Usage, e.event.Usage[0]) {
			return nil
		}
	}
	return &sealed{batch: *got, entries: [][]*entry{entries}}
}

// reconcileDugLocked settles the letters in doubt: each is dead, or was requeued.
func (b *book) reconcileDugLocked(st *state) {
	for _, entries := range b.dubious {
		for id, got := range st.batches {
			if b.live[id] != nil {
				continue
			}
			if s := b.exhumedLocked(entries, got); s != nil {
				b.adoptLocked(s)
				break
			}
		}
	}
	clear(b.dubious)
}
