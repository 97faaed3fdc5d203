package wal

// Findings are what reading a log found to be wrong with its files.
type Findings struct {
	Torn    []Range  // ends that were never acknowledged, passed over
	Short   []Range  // what is missing of files that were made longer: what was in it is unknown
	Damaged []Range  // set aside in quarantine/
	Refused []string // files of another format, set aside, one line each
}

// Range is a part of a file.
type Range struct {
	File   string // relative to the data directory
	Offset int64
	Bytes  int64
	Events uint64 // where what is left of the frame says so: events of the journal, records of the others
}
