package spool_test

import (
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool"
)

// place is where an event is, as far as the book knows.
type place uint8

const (
	nowhere place = iota
	inJournal
	inBatch
	isDelivered
	isDead
	isLost // by damage that the test did
)

// entry is what the book knows of one event.
type entry struct {
	event    event.Event
	serial   int
	certain  bool // it was acknowledged, or handed out: it must exist, once
	possible bool // an Append of it ended without a certain answer: it may exist, once
	hit      bool // damage may have undone its end
	refused  bool // in this life; a recovery may still find it
	tries    int  // calls of Append with it
	flying   int  // of those, still running
	position spool.Position
	at       place
}

// book is what producers, cutter and sender were told, and so which states of the spool are permitted.
// It outlives every crash. Its methods may be called concurrently.
type book struct {
	mu         sync.Mutex // guards everything below, the entries and the sealed batches
	entries    []*entry
	positions  map[spool.Position]*entry // those that were handed out
	live       map[spool.BatchID]*sealed
	sealed     map[spool.BatchID]*sealed // all that ever were live
	groups     map[*entry][]*entry       // what stood in one group of the journal with an entry
	committed  spool.Position            // the last cut known to be durable
	damaged    bool                      // the test did damage: positions may be missing
	dubious    map[string][]*entry       // dead letters that were to be requeued, and may have been
	doubtful   []*cutPlan                // commits of this life that failed, or still run
	violations []string
}

// newBook returns an empty book.
func newBook() *book {
	return &book{
		positions: map[spool.Position]*entry{},
		live:      map[spool.BatchID]*sealed{},
		sealed:    map[spool.BatchID]*sealed{},
		groups:    map[*entry][]*entry{},
		dubious:   map[string][]*entry{},
	}
}

// violateLocked notes that the spool did what it must not.
func (b *book) violateLocked(format string, args ...any) {
	what := fmt.Sprintf(format, args...)
	b.violations = append(b.violations, what[:min(len(what), 500)])
}

// fault is violateLocked for callers that do not hold mu.
func (b *book) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.violateLocked(format, args...)
}

// faulty reports whether there was a violation.
func (b *book) faulty() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.violations) > 0
}

// write adds an event that was not sent before.
func (b *book) write(compose func(serial int) event.Event) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := &entry{serial: len(b.entries)}
	e.event = compose(e.serial)
	b.entries = append(b.entries, e)
	return e
}

// identified returns an event that was sent before and carries an id, near a random place, or nil.
func (b *book) identified(random int) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range min(len(b.entries), 10) {
		if e := b.entries[(random+k)%len(b.entries)]; e.event.ID != "" && e.tries > 0 && e.at != isLost {
			return e
		}
	}
	return nil
}

// request is one call of Append: its events, and how many must and may be counted as duplicates.
type request struct {
	entries     []*entry
	before      map[*entry]int // tries
	least, most int
}

// sending notes that Append is about to be called.
func (b *book) sending(entries []*entry) *request {
	b.mu.Lock()
	defer b.mu.Unlock()
	r := &request{entries: entries, before: map[*entry]int{}}
	for _, e := range entries {
		tries, again := r.before[e]
		switch {
		case again || e.certain:
			r.least++
			r.most++
		case e.tries > 0:
			r.most++
		}
		if !again {
			tries = e.tries
			e.tries++
			e.flying++
			e.possible = true
		}
		r.before[e] = tries
	}
	return r
}

// answered notes what Append returned.
func (b *book) answered(r *request, duplicates int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for e, before := range r.before {
		e.flying--
		if before == 0 && e.tries > 1 {
			r.most++ // another producer sent it in the meantime
		}
		b.settleLocked(e, err)
	}
	if err == nil && (duplicates < r.least || duplicates > r.most) {
		b.violateLocked("Append of %d events, %d to %d of them kept before, counted %d duplicates",
			len(r.entries), r.least, r.most, duplicates)
	}
}

// settleLocked concludes from one answer of Append.
func (b *book) settleLocked(e *entry, err error) {
	var refused *event.Refused
	switch {
	case err == nil:
		e.certain, e.refused = true, false
	case !errors.As(err, &refused) || e.flying > 0:
	case !e.certain:
		e.possible, e.refused = false, true
	case e.tries == 1:
		b.violateLocked("event %d was refused, and handed out", e.serial)
	}
}

// handedOut notes that the tail returned an event. A refused one must not appear in the same life.
func (b *book) handedOut(at spool.Position, got *event.Event) *entry {
	b.mu.Lock()
	defer b.mu.Unlock()
	e := b.findLocked(got)
	switch {
	case e == nil:
		b.violateLocked("position %d: an event that was not sent: %+v", at, got.Transaction)
		return nil
	case !e.certain && !e.possible:
		b.violateLocked("position %d: event %d was refused, or found gone, and is handed out", at, e.serial)
	case b.positions[at] != nil && b.positions[at] != e:
		b.violateLocked("position %d stood for event %d and stands for event %d", at, b.positions[at].serial, e.serial)
	case e.position != 0 && e.position != at:
		b.violateLocked("event %d stands at positions %d and %d", e.serial, e.position, at)
	case e.at != nowhere && e.at != inJournal:
		b.violateLocked("event %d is in the journal, and in a batch or behind it", e.serial)
	case !sameEvent(&e.event, got):
		b.violateLocked("position %d: event %d came back as %+v", at, e.serial, got)
	}
	e.certain, e.position, e.at = true, at, inJournal
	b.positions[at] = e
	return e
}

// findLocked returns the entry that an event names, or nil.
func (b *book) findLocked(got *event.Event) *entry {
	var serial int
	if len(got.Usage) == 0 {
		_, _ = fmt.Sscanf(got.Application.ID, "n%06d", &serial)
	} else {
		serial = int(got.Usage[0].Value) - 1
	}
	if serial < 0 || serial >= len(b.entries) {
		return nil
	}
	return b.entries[serial]
}

// sameEvent compares all but the id, which the spool keeps as a hash.
func sameEvent(want, got *event.Event) bool {
	return want.ServiceID == got.ServiceID && want.Credentials == got.Credentials &&
		want.FlatUsage == got.FlatUsage && want.Application == got.Application &&
		want.Timestamp == got.Timestamp && want.Code == got.Code && slices.Equal(want.Usage, got.Usage)
}

// nextLife records that the process is gone: no producer waits for an answer any more.
func (b *book) nextLife() {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range b.entries {
		if e.flying > 0 {
			b.violateLocked("Append of event %d did not return", e.serial)
		}
		e.possible = e.possible || e.refused
		e.refused = false
	}
}
