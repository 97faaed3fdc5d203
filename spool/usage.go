package spool

import "time"

// Usage describes the space that the spool takes on disk, and the performance of its commits.
type Usage struct {
	Bytes            int64         // allocated under the data directory
	QuotaBytes       int64         // 0: none
	FreeBytes        int64         // the smaller of quota left and disk left above MinFreeBytes, less the reserve for delivery; never negative
	UncutBytes       int64         // of events in the journal behind the last cut
	Batches          int           // live
	OldestAge        time.Duration // of the oldest event in a live batch, since it was accepted; 0: none
	QuarantinedBytes int64
	DeadLetters      int // files
	IDs              int // event ids remembered
	Segments         int // files of the three logs
	Sync             SyncMode
	Latest           int64 // the latest timestamp of an event accepted since the start, Unix seconds; 0: none
	Commits          Commits
	ReadErrors       map[string]uint64 // files that could not be opened or read since the start, by log
	Unreadable       error             // why something cannot be read now; nil: no read failure is known
	Replaced         bool              // the directory or its lock is not the one that was opened: no event is accepted
	ManifestFailing  bool              // the manifest cannot be written; nothing else is affected
}

// Usage returns a snapshot.
func (s *Spool) Usage() Usage {
	u := Usage{
		Bytes: s.quota.InUse(), QuotaBytes: s.quota.Max,
		QuarantinedBytes: s.quarantine.Bytes.Load(), DeadLetters: int(s.letters.count.Load()),
		Sync: s.mode, Commits: s.timing.snapshot(), ReadErrors: make(map[string]uint64),
	}
	u.Replaced, u.ManifestFailing = s.presence.Err() != nil, s.manifest.failure() != nil
	for _, l := range s.logs() {
		n, _ := l.Files()
		u.Segments += n
		u.ReadErrors[l.Dir] = l.ReadErrors()
	}
	u.Unreadable = s.Unreadable()
	s.journal.mu.Lock()
	u.UncutBytes, u.Latest = s.journal.size, s.journal.latest
	if s.journal.dedupe != nil {
		u.IDs = s.journal.dedupe.size()
	}
	s.journal.mu.Unlock()
	u.FreeBytes = max(0, s.quota.Left()-s.reserve(u.UncutBytes))
	u.Batches, u.OldestAge = s.batches.index.age(time.Now())
	return u
}

// age returns how many batches are live, and how long ago the oldest event in the first batch of any lane
// was accepted.
func (x *index) age(now time.Time) (batches int, oldest time.Duration) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, l := range x.busyLanesLocked() {
		oldest = max(oldest, now.Sub(time.Unix(0, l.first.accepted)))
	}
	return len(x.live), oldest
}
