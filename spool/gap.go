package spool

// gap is a range of positions that the disk lost, first to last.
type gap struct{ first, last Position }

// lose books events of the journal as lost, once. What a cut has taken over is not: a reader that is behind the cut does not
// find it, because its segment has gone.
func (s *Spool) lose(first, last Position) {
	first = max(first, s.Committed()+1)
	if n := s.journal.lose(first, last); n > 0 {
		s.counters.lost(n)
	}
}

// Readable returns the position of the last durable event that the Tail has handed out or will: behind it there is nothing,
// or only what the disk lost.
func (s *Spool) Readable() Position {
	j := s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	last := Position(j.log.NextSequence() - 1)
	for g, lost := j.gapAt(last); lost; g, lost = j.gapAt(last) {
		last = g.first - 1
	}
	return last
}

// lose notes the events first to last as lost, and returns how many of them were not noted before.
func (j *journal) lose(first, last Position) (fresh uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for p := first; p <= last; {
		if g, ok := j.gapAt(p); ok {
			p = g.last + 1
			continue
		}
		until := j.nextGap(p, last)
		j.gaps = append(j.gaps, gap{p, until})
		fresh += uint64(until - p + 1)
		p = until + 1
	}
	return fresh
}

// gapAt returns the gap that holds p. mu is held.
func (j *journal) gapAt(p Position) (gap, bool) {
	for _, g := range j.gaps {
		if g.first <= p && p <= g.last {
			return g, true
		}
	}
	return gap{}, false
}

// nextGap returns the last position from p on, at most last, that lies before any other gap. mu is held.
func (j *journal) nextGap(p, last Position) Position {
	for _, g := range j.gaps {
		if g.first > p && g.first <= last {
			last = g.first - 1
		}
	}
	return last
}

// lostIn returns how many events from first to last are in gaps. mu is held.
func (j *journal) lostIn(first, last Position) (n uint64) {
	for _, g := range j.gaps {
		if low, high := max(g.first, first), min(g.last, last); low <= high {
			n += uint64(high - low + 1)
		}
	}
	return n
}
