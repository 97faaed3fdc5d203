package receipt

import (
	"iter"
	"maps"
	"slices"
	"time"
)

// Book is what is known of one service's receipts in one partition. It belongs to one goroutine, or its owner's mutex guards it.
type Book[K comparable] struct {
	rules   Rules
	metrics []*metric[K]
	open    map[K]*watch[K]
	late    []Late[K]
	newest  time.Time // when the latest of the counted reports was sent
	delays  delays
	began   time.Time
	probes  []time.Time // when those were sent that are not known to be counted
	probed  time.Time   // when the latest was
	wanted  Mask        // the applications that a report waits for a reading of
	watched time.Time   // when the latest reading was asked for
}

// Late is what moved after its report had an end.
type Late[K comparable] struct {
	ID     K
	End    End // which it had
	Mask   Mask
	Digits [Applications]uint8 // how often each receipt was counted by now
	Resent bool                // it was sent again meanwhile, so that this counts it twice
}

// New returns a Book over so many metrics. began is the start, or later: no reading of before is the base of a report. Of a
// directory that was restored, a copy may have reports in flight for a while.
func New[K comparable](metrics int, rules Rules, began time.Time) *Book[K] {
	b := &Book[K]{rules: rules.withDefaults(), open: make(map[K]*watch[K]), began: began}
	for range metrics {
		m := &metric[K]{}
		for number := range m.places {
			m.places[number].quiet = began
		}
		b.metrics = append(b.metrics, m)
	}
	if metrics > 0 {
		b.metrics[0].places[probePlace].probes = true
	}
	return b
}

// Reopen continues with a report of before the start: what its attempt recorded, when that was, when the backend cannot count
// it any more, and whether it was sent more than once with this receipt. It returns false when the receipt belongs to no
// metric here.
func (b *Book[K]) Reopen(id K, receipt Receipt, sent, limit time.Time, resent bool) bool {
	if receipt.Metric >= len(b.metrics) || b.open[id] != nil {
		return false
	}
	w := &watch[K]{id: id, receipt: receipt, sent: sent, limit: limit, resent: resent, linked: sent, due: sent}
	if p := &b.metrics[receipt.Metric].places[receipt.Place]; p.open == nil {
		p.open = w
	} else {
		w.unreadable, p.open.unreadable = true, true // a place has one report at a time: one of the two is of a copy
	}
	b.open[id] = w
	return true
}

// Allot gives a receipt to a report that is about to be sent. It returns false when there is none: the counters have to be
// read first (Asks), or all places are taken. What it returns counts from the moment it is recorded durably. A report that
// is open keeps the receipt it has.
func (b *Book[K]) Allot(id K, mask Mask, now, limit time.Time) (Receipt, bool) {
	if w := b.open[id]; w != nil {
		return w.receipt, true
	}
	number, at := b.choose(mask, now)
	if at < 0 && b.release(now) {
		number, at = b.choose(mask, now)
	}
	if at < 0 {
		b.wanted |= mask
		return Receipt{}, false
	}
	m := b.metrics[number]
	w := &watch[K]{id: id, receipt: Receipt{Metric: number, Place: at, Mask: mask}, sent: now, limit: limit, linked: now}
	for a := range Applications {
		if mask.Has(a) {
			w.receipt.Base[a] = m.value[a]
		}
	}
	w.due, w.wait = now.Add(b.firstLook()), b.firstLook()
	m.places[at].open, m.places[at].closed = w, nil
	b.open[id] = w
	return w.receipt, true
}

// choose returns the place that rested for longest: of the even ones if one rested long enough, since a receipt that is
// counted four times is carried over into the next place. A place whose counters were not read since it came to rest has no base.
func (b *Book[K]) choose(mask Mask, now time.Time) (number, at int) {
	number, at = -1, -1
	var best time.Time
	for odd := range 2 {
		for n, m := range b.metrics {
			if !m.foreign.IsZero() && now.Sub(m.foreign) < b.rules.settle() || slices.Max(m.value[:]) > Most/2 {
				continue
			}
			for place := odd; place < Places; place += 2 {
				quiet := m.places[place].quiet
				if (at < 0 || quiet.Before(best)) && m.based(mask, quiet) && m.takes(place, mask, now) {
					number, at, best = n, place, quiet
				}
			}
		}
		if at >= 0 && (now.Sub(best) >= b.rules.settle() || best.Equal(b.began)) {
			break
		}
	}
	return number, at
}

// release gives up the place that is kept for longest, where more than half of all are kept for reports that may still land.
func (b *Book[K]) release(now time.Time) bool {
	var oldest *place[K]
	kept := 0
	for _, m := range b.metrics {
		for number := range m.places {
			if p := &m.places[number]; p.kept(now) {
				if kept++; oldest == nil || p.quiet.Before(oldest.quiet) {
					oldest = p
				}
			}
		}
	}
	if kept <= len(b.metrics)*Places/2 {
		return false
	}
	oldest.closed.until = time.Time{}
	return true
}

// Withdraw takes a receipt back whose report certainly was not taken by the backend, nor any earlier one with it. Its place
// may be given again.
func (b *Book[K]) Withdraw(id K) {
	w := b.open[id]
	if w == nil || w.resent {
		return
	}
	delete(b.open, id)
	if p := b.place(w); p.open == w {
		p.open = nil
	}
}

func (b *Book[K]) place(w *watch[K]) *place[K] {
	return &b.metrics[w.receipt.Metric].places[w.receipt.Place]
}

// Close ends a report: its end is recorded durably. What can still land keeps its place: as long as anything was seen
// to land late, or, where nothing is known, until the backend cannot count it any more. It returns whether the place is kept: then
// Reserved is to be recorded durably before the end is. An id that is not open is ignored.
func (b *Book[K]) Close(id K, end End, now time.Time) (kept bool) {
	w := b.open[id]
	if w == nil {
		return false
	}
	delete(b.open, id)
	p := b.place(w)
	if p.open != w {
		return false
	}
	c := &closed[K]{id: id, mask: w.receipt.Mask, end: end, digits: w.digits, resent: w.resent || end == Dropped}
	switch {
	case w.resent || end == Unconfirmed:
		c.until = later(w.limit, now.Add(b.rules.settle()))
	case end != Counted: // dropped for a culprit, which the worker would meet again; or it is known what was counted
		c.until = now.Add(b.rules.settle())
	}
	p.open, p.closed, p.quiet = nil, c, now
	return p.kept(now)
}

// Release notes that a report which was concluded dropped without a culprit is to be sent once more, with the same receipt.
// Until Again it has no other end than that its first attempt lands after all.
func (b *Book[K]) Release(id K, now time.Time) {
	if w := b.open[id]; w != nil {
		w.again(now)
		w.released = true
	}
}

// Again notes that a report which was released is sent.
func (b *Book[K]) Again(id K, now time.Time) {
	if w := b.open[id]; w != nil {
		w.again(now)
		w.released = false
		w.due, w.wait = now.Add(b.firstLook()), b.firstLook()
	}
}

// Denied notes that an authorization, asked for at a moment, did not know an application or metric that a report names.
func (b *Book[K]) Denied(id K, what string, asked time.Time) {
	if w := b.open[id]; w != nil {
		w.deny(what, asked, b.rules)
	}
}

// Absent notes that the backend does not know a receipt application, or not as one: it cannot be read, and voids reports.
func (b *Book[K]) Absent(application int, asked time.Time) {
	for _, w := range b.open {
		if w.receipt.Mask.Has(application) {
			w.lack(application, asked, b.rules)
		}
	}
}

// Vouched notes that an authorization knew it.
func (b *Book[K]) Vouched(id K, what string) {
	if w := b.open[id]; w != nil {
		w.vouch(what)
	}
}

// Suspects are the reports whose applications and metrics are to be asked about now: nothing of them is counted, although
// a later report is, or although they were sent a while ago. Each comes again until it has an end.
func (b *Book[K]) Suspects(now time.Time) []K {
	var ids []K
	for id, w := range b.open {
		overtaken := !w.passed.IsZero() && now.Sub(w.passed) >= overtaking
		if w.zero() && !w.unreadable && (overtaken || now.Sub(w.sent) >= suspicion) && now.Sub(w.suspect) >= b.rules.Apart {
			w.suspect = now
			ids = append(ids, id)
		}
	}
	return ids
}

// overtaking is for how long a later report must be known to be counted, before an earlier one that is not is a reason for
// questions: several workers overtake one another. suspicion is how long ago it was sent, if no later one is counted.
const (
	overtaking = 2 * time.Second
	suspicion  = 15 * time.Second
)

// Conclusions are the ends that are known now. Each comes again until Close or Release.
func (b *Book[K]) Conclusions(now time.Time) []Conclusion[K] {
	var all []Conclusion[K]
	for id, w := range b.open {
		if end := w.conclude(b.rules, now); end != 0 {
			c := Conclusion[K]{ID: id, End: end, Mask: w.receipt.Mask, Digits: w.digits, Sent: w.sent, At: w.seen()}
			if end == Dropped {
				c.Culprit = w.culprit
			}
			all = append(all, c)
		}
	}
	return all
}

// Has reports whether a report is open.
func (b *Book[K]) Has(id K) bool { return b.open[id] != nil }

// IDs are the reports that are open, in any order.
func (b *Book[K]) IDs() iter.Seq[K] { return maps.Keys(b.open) }

// MaskOf returns the applications that count an open report.
func (b *Book[K]) MaskOf(id K) Mask {
	if w := b.open[id]; w != nil {
		return w.receipt.Mask
	}
	return 0
}

// Open returns how many reports have no end.
func (b *Book[K]) Open() int { return len(b.open) }

// Foreign returns when a counter moved last that none of these reports moves; zero: never. Another daemon, or a person,
// reports to the receipt applications, or they were made anew.
func (b *Book[K]) Foreign() (at time.Time) {
	for _, m := range b.metrics {
		at = later(at, m.foreign)
	}
	return at
}
