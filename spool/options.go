package spool

import (
	"time"

	"github.com/reporterd/reporterd/spool/disk"
)

const (
	maxSegment    = 64 << 20 // most bytes of a segment, unless Options say otherwise
	minSegment    = 64 << 10
	leastSegment  = 1 << 10 // also if Options ask for less
	segmentsQuota = 16      // at least this many journal segments fit into the quota
	segmentsDisk  = 64      // and this many on the disk
)

// SyncMode says when written bytes are made durable.
type SyncMode uint8

const (
	// Always makes every group of events and every record durable before it is acknowledged.
	Always SyncMode = iota
	// Never leaves it to the kernel: a crash of the process loses nothing, a loss of power loses what the kernel had not written.
	Never
)

// String returns the word used in the configuration file.
func (m SyncMode) String() string {
	if m == Never {
		return "never"
	}
	return "always"
}

// Options of Open. A zero value has the meaning given in the comment.
type Options struct {
	// RejectedBytes and RejectedLetters limit the dead letters of messages that were never acknowledged; 0: 64 MiB and 10,000.
	// They never take more than a sixteenth of MaxBytes, in addition to MaxBytes.
	RejectedBytes   int64
	RejectedLetters int

	Dir          string
	FS           disk.FS       // nil: disk.OS
	MaxBytes     int64         // quota of everything under Dir except letters of rejected messages; 0: no limit
	MinFreeBytes int64         // bytes that stay free on the file system
	SegmentBytes int64         // of the journal; 0: 64 MiB, less on small quotas and disks
	Sync         SyncMode      // zero: Always
	DedupeWindow time.Duration // how long an event id is remembered; 0: ids are ignored
	MaxIDs       int           // most event ids remembered; 0: 2,000,000 (at most 15 bytes of memory each, and 32 more until their events are cut)

	// KeepChanges keeps the records that Spool.ChangeFeed reads until Spool.Booked releases them, or ended batches take up an
	// eighth of MaxBytes (without a quota, 1 GiB).
	KeepChanges bool

	// Trouble, if not nil, is called when a problem with the directory begins while it is open, and when it ends. It is called by
	// one goroutine at a time and must not block.
	Trouble func(Trouble)
}

// withDefaults replaces zero values by their defaults.
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
