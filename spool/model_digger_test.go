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
	for len(done) > 0 {
		together := 1 // letters of the first batch, which stand behind each other
		for together < len(done) && done[together].Batch == done[0].Batch {
			together++
		}
		batch, err := s.Load(done[0].Batch)
		if err != nil && isTrouble(err) {
			q.disk.Heal()
			batch, err = s.Load(done[0].Batch)
		}
		if err != nil {
			q.complain("Load", err)
		} else {
			q.book.dug(done[:together], batch)
		}
		done = done[together:]
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

// dug notes that letters are the transactions of a live batch.
func (b *book) dug(letters []spool.Requeued, got *spool.Batch) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.exhumedLocked(got)
	if s == nil || len(letters) != len(got.Transactions) {
		b.violateLocked("letters %+v came back as %+v", letters, got)
		return
	}
	for _, d := range letters {
		delete(b.dubious, d.Letter.ID)
	}
	b.adoptLocked(s)
}

// exhumedLocked returns the batch that some of the letters in doubt became, or nil when a transaction of got is none of them.
func (b *book) exhumedLocked(got *spool.Batch) *sealed {
	if !got.ID.Requeued() {
		return nil
	}
	s, used := &sealed{batch: *got}, make(map[string]bool)
	for i := range got.Transactions {
		for id, entries := range b.dubious {
			if !used[id] && isLetter(entries, got, &got.Transactions[i]) {
				used[id] = true
				s.entries = append(s.entries, entries)
				break
			}
		}
	}
	if len(s.entries) != len(got.Transactions) {
		return nil
	}
	return s
}

// isLetter reports whether a transaction is that of a letter of some events.
func isLetter(entries []*entry, got *spool.Batch, t *spool.Transaction) bool {
	if len(entries) == 0 || int(t.Events) != len(entries) || len(t.Usage) != len(entries) {
		return false
	}
	for _, e := range entries {
		same := e.event.ServiceID == got.Lane.ServiceID && e.event.Credentials == got.Lane.Credentials &&
			e.event.FlatUsage == got.FlatUsage && e.event.Application == t.Application
		if !same || !slices.Contains(t.Usage, e.event.Usage[0]) {
			return false
		}
	}
	return true
}

// reconcileDugLocked settles the letters in doubt: each is dead, or was requeued.
func (b *book) reconcileDugLocked(st *state) {
	for id, got := range st.batches {
		if b.live[id] != nil {
			continue
		}
		if s := b.exhumedLocked(got); s != nil {
			b.adoptLocked(s)
		}
	}
	clear(b.dubious)
}
