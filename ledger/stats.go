package ledger

import "time"

// Stats describes the ledger, with figures since the start.
type Stats struct {
	Booked   uint64    // events of batches
	Next     uint64    // the sequence number of the batch log to book next
	Latest   time.Time // when something was booked last
	Bytes    int64     // of the file, in use
	Missed   bool      // since the file was made, some usage could not be booked: the figures are too low
	Trouble  string    // why it does not book now; empty: it does
	GivenUp  uint64    // days deleted to stay below MaxBytes
	SetAside uint64    // transactions that do not fit into the database: they are missing from the figures
	Earliest time.Time // the first day in the file; zero: none
}

// Stats returns the current figures.
func (l *Ledger) Stats() Stats {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stats
}

func (l *Ledger) updateStats(change func(*Stats)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change(&l.stats)
}
