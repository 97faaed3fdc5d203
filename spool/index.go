package spool

// Batches returns every live batch, lane by lane, in the order of sealing within each.
func (s *Spool) Batches() []BatchInfo { return nil }

// Lanes returns the keys of all lanes that have live batches, the longest waiting first.
func (s *Spool) Lanes() []LaneKey { return nil }

// Lane returns at most limit live batches of a lane, in the order of sealing.
func (s *Spool) Lane(key LaneKey, limit int) []BatchInfo { return nil }

// Changed returns a channel that is closed at the next change of the set of live batches: take it first,
// then look, then wait. Any number of goroutines may wait.
func (s *Spool) Changed() <-chan struct{} { return nil }

// Load reads a live batch, checked by its CRC. A batch that cannot be read as it was written gives
// ErrDamaged; see Lose.
func (s *Spool) Load(id BatchID) (*Batch, error) { return nil, nil }
