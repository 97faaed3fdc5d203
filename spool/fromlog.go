package spool

import "github.com/reporterd/reporterd/spool/wal"

// What the log says to its users, under the names that users of a spool know.
type (
	// ReadError says that a file of the spool could not be opened or read, and nothing about what is in it.
	ReadError = wal.ReadError
	// Range is a part of a file.
	Range = wal.Range
	// Findings are what reading a log found to be wrong with its files.
	Findings = wal.Findings
	// Agreement is what the batch log says of a place that a reader of the change feed remembers.
	Agreement = wal.Agreement
)

// The answers of ChangesAgree.
const (
	PlaceHolds   = wal.PlaceHolds
	PlaceUnknown = wal.PlaceUnknown
	PlaceDiffers = wal.PlaceDiffers
	PlaceMissing = wal.PlaceMissing
)

var (
	// ErrDamaged is returned by Load when the batch was read, twice, and is not what was written.
	ErrDamaged = wal.ErrDamaged
	// ErrReplaced is wrapped by the error of Append, Ready and of every record while the data directory, a directory in it
	// or its lock file is gone or is not the one that was opened.
	ErrReplaced = wal.ErrReplaced
)
