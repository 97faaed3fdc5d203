package spool

import "time"

// Usage is what the spool takes on disk, and how its commits fare.
type Usage struct {
	Bytes            int64         // allocated under the data directory
	QuotaBytes       int64         // 0: none
	FreeBytes        int64         // what can still be accepted: the smaller of quota left and disk left above the watermark
	Batches          int           // live
	OldestAge        time.Duration // of the oldest pending event, since it was accepted; 0: none
	QuarantinedBytes int64
	DeadLetters      int
	IDs              int // event ids remembered
	Segments         int
	Sync             SyncMode
	Commits          Commits
}

// Commits counts what became durable in the journal since start.
type Commits struct {
	Groups  uint64
	Events  uint64
	Bytes   uint64
	Failed  uint64
	Seconds float64  // spent in fdatasync
	Buckets []Bucket // of one fdatasync, cumulative
}

// Bucket of a histogram: Count commits took at most Seconds.
type Bucket struct {
	Seconds float64
	Count   uint64
}

// Usage returns a snapshot; it asks the file system for its free space.
func (s *Spool) Usage() Usage { return Usage{} }
