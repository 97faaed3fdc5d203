package spool

import "github.com/reporterd/reporterd/spool/wal"

// The types and errors of the log that are part of this package's interface.
type (
	// ReadError says that a file of the spool could not be opened or read. It says nothing about the file's content.
	ReadError = wal.ReadError
	// Range is a part of a file.
	Range = wal.Range
	// Findings are the problems that were found in the files of a log.
	Findings = wal.Findings
	// Agreement is the result of ChangesAgree: whether the batch log has the place that a reader of the change feed remembers.
	Agreement = wal.Agreement
)

// The results of ChangesAgree.
const (
	PlaceHolds   = wal.PlaceHolds
	PlaceUnknown = wal.PlaceUnknown
	PlaceDiffers = wal.PlaceDiffers
	PlaceMissing = wal.PlaceMissing
)

var (
	// ErrDamaged is returned by Load for a batch whose record was read twice and whose checksum does not hold.
	ErrDamaged = wal.ErrDamaged
	// ErrReplaced is wrapped by the error of Append, Ready and of every record while the data directory, a directory in it or its
	// lock file is missing or is not the one that was opened.
	ErrReplaced = wal.ErrReplaced
)
