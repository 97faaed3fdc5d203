package receipt

import "time"

// metric is one receipt metric: its latest counters, and what each of its places is given to.
type metric[K comparable] struct {
	value   [Applications]uint64
	read    [Applications]time.Time // when the latest reading was asked for; zero: none since the start
	missing [Applications]bool      // the latest reading showed no counter
	places  [Places]place[K]
	foreign time.Time // when a place moved last that was given to no report; zero: never
}

// place is one digit of a metric.
type place[K comparable] struct {
	open   *watch[K]  // the report whose end is not known; nil: it is free, or kept
	closed *closed[K] // the latest report that it was given to; nil: none since the start
	quiet  time.Time  // when nothing was in flight there last
	probes bool       // it is for probes alone
}

// closed is a report that has an end, at the place that it had.
type closed[K comparable] struct {
	id      K
	mask    Mask
	end     End
	digits  [Applications]uint8
	until   time.Time // it may land as long, and the place is given to no other; zero: it cannot, as far as is known
	resent  bool      // it was sent again, with this receipt or in other reports
	noticed bool      // that it moved after its end was said
}

// kept reports whether a place is kept for a report that may still land.
func (p *place[K]) kept(now time.Time) bool { return p.closed != nil && p.closed.until.After(now) }

// takes reports whether a place can be given to a report that carries the receipts of mask: it rests, and everything that is counted
// there, up to three times, is not carried over into the digit of a report that is open at a higher place.
func (m *metric[K]) takes(number int, mask Mask, now time.Time) bool {
	p := &m.places[number]
	if p.open != nil || p.kept(now) || p.probes {
		return false
	}
	for higher := number + 1; higher < Places; higher++ {
		w := m.places[higher].open
		if w == nil || w.unreadable {
			continue
		}
		for a := range Applications {
			if mask.Has(a) && w.receipt.Mask.Has(a) && w.lower(m.value[a], a)+m.expected(a, higher, now)+most<<(2*number) >= 1<<(2*higher) {
				return false
			}
		}
	}
	return true
}

// most is how often a receipt is expected to be counted at the most.
const most = 3

// expected is what can still be counted of an application below a place, by reports that are open or may land late.
func (m *metric[K]) expected(application, below int, now time.Time) (sum uint64) {
	for number := range below {
		switch p := &m.places[number]; {
		case p.open != nil && p.open.receipt.Mask.Has(application):
			sum += uint64(most-p.open.digits[application]) << (2 * number)
		case p.kept(now) && p.closed.mask.Has(application):
			sum += most << (2 * number)
		}
	}
	return sum
}

// lower is what was counted at the places below that of a report, since its base was read.
func (w *watch[K]) lower(value uint64, application int) uint64 {
	return (value - w.receipt.Base[application]) & (w.receipt.Increment() - 1)
}

// based reports whether the latest readings can be the base of a place where nothing was in flight from a moment on.
func (m *metric[K]) based(mask Mask, quiet time.Time) bool {
	for a := range Applications {
		if mask.Has(a) && (m.missing[a] || m.read[a].IsZero() || m.read[a].Before(quiet)) {
			return false
		}
	}
	return true
}

// miss notes that an application shows no counter of the metric: the metric was deleted, or the limit on it. Reports that count there
// cannot be read until it is shown again.
func (m *metric[K]) miss(application int) {
	m.missing[application] = true
	m.each(application, func(w *watch[K]) { w.blind |= 1 << application })
}

// show notes that an application shows a counter that was missing. It is that of before, or that of a metric that was made again, which
// began at 0: of a report whose counter stood at 0 nothing tells which.
func (m *metric[K]) show(application int) {
	m.missing[application] = false
	m.each(application, func(w *watch[K]) {
		w.blind &^= 1 << application
		w.unreadable = w.unreadable || w.receipt.Base[application] == 0 && m.value[application] == 0
	})
}

// each visits the open reports that an application counts.
func (m *metric[K]) each(application int, visit func(*watch[K])) {
	for number := range m.places {
		if w := m.places[number].open; w != nil && w.receipt.Mask.Has(application) {
			visit(w)
		}
	}
}

// see takes a reading of an application's counter. It returns the reports that moved after their end, and by how much the counter moved.
func (m *metric[K]) see(application int, value uint64, asked time.Time, strange bool) (late []*closed[K], moved uint64) {
	if m.missing[application] {
		m.show(application)
	}
	first := m.read[application].IsZero()
	m.read[application] = later(m.read[application], asked)
	moved = value - m.value[application]
	if value < m.value[application] && !first {
		moved = 0
		m.foreign = asked // the counters began anew: the application is another one
	}
	if first {
		moved = 0
	}
	m.value[application] = value
	for number := range m.places {
		p := &m.places[number]
		if w := p.open; w != nil && w.receipt.Mask.Has(application) {
			w.see(application, value, asked)
			continue
		}
		d := digit(moved, number)
		if d == 0 {
			continue
		}
		if c := p.closed; c != nil && c.mask.Has(application) {
			if c.move(application, d) {
				late = append(late, c)
			}
		} else if strange && !p.probes {
			m.foreign = asked
		}
	}
	if m.foreign.Equal(asked) {
		m.spoil(application)
	}
	return late, moved
}

// spoil makes all reports unreadable that an application counts.
func (m *metric[K]) spoil(application int) {
	m.each(application, func(w *watch[K]) { w.unreadable = true })
}

// see takes a counter. A digit never falls, nor does what is below it: if one does, it was carried over.
func (w *watch[K]) see(application int, value uint64, asked time.Time) {
	base := w.receipt.Base[application]
	if value < base {
		w.unreadable = true
		return
	}
	d, below := digit(value-base, w.receipt.Place), w.lower(value, application)
	if d < w.digits[application] || below < w.below[application] {
		w.unreadable = true
		return
	}
	w.below[application] = below
	if d > w.digits[application] {
		w.digits[application] = d
		w.moved = later(w.moved, asked)
		w.links, w.linked = 0, w.moved
	}
	w.read[application] = later(w.read[application], asked)
}

// move notes that a report moved after its end, and reports whether that is new.
func (c *closed[K]) move(application int, by uint8) bool {
	c.digits[application] += by
	said := c.noticed
	c.noticed = true
	return !said
}
