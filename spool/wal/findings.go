package wal

// Findings are the problems that were found in the files of a log.
type Findings struct {
	Torn    []Range  // ends that were never acknowledged, skipped
	Short   []Range  // ranges missing from files that were longer: their content is unknown
	Damaged []Range  // ranges copied to quarantine/
	Refused []string // files of another format, moved to quarantine/, one line each
}

// Range is a part of a file.
type Range struct {
	File   string // relative to the data directory
	Offset int64
	Bytes  int64
	Events uint64 // of a damaged frame whose head holds: events in the journal, records in the other logs
}
