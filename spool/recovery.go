package spool

import "time"

// Recovery is what Open found.
type Recovery struct {
	Counts     Counts
	Committed  Position
	Batches    int      // live
	Torn       []Range  // unacknowledged ends, cut
	Damaged    []Range  // set aside in quarantine/
	Refused    []string // files of another format, set aside in quarantine/, one line each
	Unanswered int      // batches with an attempt whose outcome nobody saw
	Unknown    uint64   // events in them, counted as ambiguous
	Lost       uint64   // events found lost by this recovery
	Undone     uint64   // events counted delivered or dead before, and pending again
	Took       time.Duration
}

// Range is a part of a file.
type Range struct {
	File   string // relative to the data directory
	Offset int64
	Bytes  int64
	Events uint64 // in the journal: events in it, where the gap says so
}

// Lines returns what an operator should read, one fact a line; the first is a summary.
func (r *Recovery) Lines() []string { return nil }
