package spool

// Cut turns the events up to a position into batches, all or nothing. It is for one goroutine.
type Cut struct{}

// BeginCut starts a cut of everything behind Committed up to and including upTo, which must be durable.
// One cut at a time; the last one must have been committed or aborted.
func (s *Spool) BeginCut(upTo Position) (*Cut, error) { return &Cut{}, nil }

// Add writes a batch to the batch log and sets its ID, and Sealed when it is zero. The batch does not
// exist before Commit. After an error the cut can only be aborted.
func (c *Cut) Add(b *Batch) error { return nil }

// Commit makes the cut and all its batches durable, at one point; nothingToReport of its events had no
// usage and count as delivered. Afterwards the journal behind it is released. It refuses a cut whose
// batches do not account for every event. After an error the outcome is as if Abort had been called,
// and the same events can be cut again.
func (c *Cut) Commit(nothingToReport uint64) error { return nil }

// Abort gives the cut up: its batches never existed. After Commit it does nothing, so it can be deferred.
func (c *Cut) Abort() error { return nil }
