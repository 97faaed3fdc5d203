package spool

// PassedOn is what waits in batches of lanes with credentials that reporters sent, since these are not configured.
type PassedOn struct {
	Lanes int
	Bytes int64 // of their records on disk
}

func (p *PassedOn) add(first bool, bytes int64) {
	p.Bytes += bytes
	if first {
		p.Lanes++
	}
}

func (p *PassedOn) remove(last bool, bytes int64) {
	p.Bytes -= bytes
	if last {
		p.Lanes--
	}
}

// PassedOn reports whether a lane has credentials that reporters sent.
func (k LaneKey) PassedOn() bool { return !k.Credentials.IsZero() }

// PassedOn returns the figures of such lanes. It costs no walk.
func (s *Spool) PassedOn() PassedOn {
	x := s.batches.index
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.passedOn
}

// HasLane reports whether a lane has live batches.
func (s *Spool) HasLane(key LaneKey) bool {
	batches, _ := s.LaneFigures(key)
	return batches > 0
}
