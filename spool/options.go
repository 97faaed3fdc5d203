package spool

import (
	"time"

	"github.com/reporterd/reporterd/spool/disk"
)

const (
	maxSegment    = 64 << 20 // what a segment is at most, unless Options say otherwise
	minSegment    = 64 << 10
	leastSegment  = 1 << 10 // whatever Options say
	segmentsQuota = 16      // at least so many journal segments fit into the quota
	segmentsDisk  = 64      // and so many on the disk
)

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

// Options of Open. Zero values mean what the comments say.
type Options struct {
	// RejectedBytes and RejectedLetters bound the dead letters of messages that were never acknowledged; 0: 64 MiB and
	// 10,000. They never take more than a sixteenth of MaxBytes, beside it.
	RejectedBytes   int64
	RejectedLetters int

	Dir          string
	FS           disk.FS       // nil: disk.OS
	MaxBytes     int64         // quota of everything under Dir, but for letters of rejected messages; 0: none
	MinFreeBytes int64         // what the file system shall keep free
	SegmentBytes int64         // of the journal; 0: 64 MiB, less on small quotas and disks
	Sync         SyncMode      // zero: Always
	DedupeWindow time.Duration // how long an event id is remembered; 0: ids are ignored
	MaxIDs       int           // most event ids remembered; 0: 2,000,000 (about 40 bytes of memory each)

	// KeepChanges keeps what Spool.ChangeFeed reads until Spool.Booked says that it was booked, or ended batches take up
	// an eighth of MaxBytes (without a quota, 1 GiB).
	KeepChanges bool

	// Trouble, when not nil, is told when something about the directory begins to be wrong while it is open, and
	// when that is over. It is called by one goroutine at a time and must not block.
	Trouble func(Trouble)
}

// withDefaults fills in what is zero.
func (o Options) withDefaults() Options {
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	if o.MaxIDs <= 0 {
		o.MaxIDs = defaultMaxIDs
	}
	if o.SegmentBytes > 0 {
		return o
	}
	o.SegmentBytes = maxSegment
	if o.MaxBytes > 0 {
		o.SegmentBytes = min(o.SegmentBytes, o.MaxBytes/segmentsQuota)
	}
	if _, total, err := o.FS.Free(o.Dir); err == nil {
		o.SegmentBytes = min(o.SegmentBytes, total/segmentsDisk)
	}
	o.SegmentBytes = max(o.SegmentBytes, minSegment)
	return o
}
