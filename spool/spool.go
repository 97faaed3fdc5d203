package spool

import (
	"errors"
	"time"

	"github.com/reporterd/reporterd/disk"
)

// Position counts accepted events since the data directory was made: the first is 1. The highest one
// is the number of events accepted, across restarts.
type Position uint64

// SyncMode says when written bytes are made durable.
type SyncMode uint8

const (
	// Always makes every group of events and every record durable before anybody is told.
	Always SyncMode = iota
	// Never leaves it to the kernel: a crash of the process loses nothing, a loss of power what the
	// kernel had not written.
	Never
)

// String returns the word of the configuration file.
func (m SyncMode) String() string {
	if m == Never {
		return "never"
	}
	return "always"
}

var (
	// ErrDamaged is returned by Load when the batch cannot be read back as it was written.
	ErrDamaged = errors.New("damaged on disk")
	// ErrUnknownBatch is returned for a batch that is not live: resolved, lost, or never cut.
	ErrUnknownBatch = errors.New("no such live batch")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("spool is closed")
)

// Options of Open. Zero values mean what the comments say.
type Options struct {
	Dir          string
	FS           disk.FS       // nil: disk.OS
	MaxBytes     int64         // quota of everything under Dir; 0: none
	MinFreeBytes int64         // what the file system shall keep free
	SegmentBytes int64         // 0: 64 MiB, less on small quotas and disks
	Sync         SyncMode      // zero: Always
	DedupeWindow time.Duration // how long an event id is remembered; 0: ids are ignored
	MaxIDs       int           // most event ids remembered; 0: 2,000,000 (about 40 bytes of memory each)
}

// Spool is a data directory, open and locked. All methods may be called concurrently, except that there
// is one Tail and one Cut at a time.
type Spool struct{}

// Open locks the directory, makes it if need be, and recovers what is in it. It fails when the directory
// cannot be used (another process has it, no permission), never for what it finds in the logs.
func Open(o Options) (*Spool, *Recovery, error) { return &Spool{}, &Recovery{}, nil }

// Close ends all use of the directory. Nothing that was acknowledged depends on it.
func (s *Spool) Close() error { return nil }

// Committed returns the position up to which events are sealed in batches, durably.
func (s *Spool) Committed() Position { return 0 }

// Counts returns one consistent snapshot.
func (s *Spool) Counts() Counts { return Counts{} }

// Ready returns nil when the spool can accept and commit events, otherwise why not.
func (s *Spool) Ready() error { return nil }
