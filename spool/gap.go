package spool

// gap is a range of positions whose events are lost to damage, first to last.
type gap struct{ first, last Position }

// lose counts events of the journal as lost, once. Events up to the last cut are not lost: a slow reader may not find them,
// because their segment was removed after the cut.
func (s *Spool) lose(first, last Position) {
	first = max(first, s.Committed()+1)
	if n := s.journal.lose(first, last); n > 0 {
		s.counters.lost(n)
	}
}

// Readable returns the position of the last durable event that the Tail has returned or will return. Behind it there are no
// events, or only lost ones.
func (s *Spool) Readable() Position {
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	last := Position(j.log.NextSequence() - 1)
	for g, lost := j.gapAtLocked(last); lost; g, lost = j.gapAtLocked(last) {
		last = g.first - 1
	}
	return last
}

// lose adds the events first to last to the gaps, and returns how many of them were not in a gap before.
func (j *journal) lose(first, last Position) (fresh uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for p := first; p <= last; {
		if g, ok := j.gapAtLocked(p); ok {
			p = g.last + 1
			continue
		}
		until := j.nextGapLocked(p, last)
		j.gaps = append(j.gaps, gap{p, until})
		fresh += uint64(until - p + 1)
		p = until + 1
	}
	return fresh
}

// gapAtLocked returns the gap that contains p.
func (j *journal) gapAtLocked(p Position) (gap, bool) {
	for _, g := range j.gaps {
		if g.first <= p && p <= g.last {
			return g, true
		}
	}
	return gap{}, false
}

// nextGapLocked returns the last position from p on, at most last, that lies before any other gap.
func (j *journal) nextGapLocked(p, last Position) Position {
	for _, g := range j.gaps {
		if g.first > p && g.first <= last {
			last = g.first - 1
		}
	}
	return last
}

// lostInLocked returns how many events from first to last are in gaps.
func (j *journal) lostInLocked(first, last Position) (n uint64) {
	for _, g := range j.gaps {
		if low, high := max(g.first, first), min(g.last, last); low <= high {
			n += uint64(high - low + 1)
		}
	}
	return n
}
