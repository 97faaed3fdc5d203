package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/spool/disk"
)

// Position counts accepted events since the data directory was made: the first is 1. The highest one is the number of events
// accepted, across restarts.
type Position uint64

var (
	// ErrNotDamaged is returned by Lose for a batch that can be read.
	ErrNotDamaged = errors.New("not damaged")
	// ErrUnknownBatch is returned for a batch that is not live: resolved, lost, or never cut.
	ErrUnknownBatch = errors.New("no such live batch")
	// ErrUnknownSegment is returned for a segment that does not exist.
	ErrUnknownSegment = errors.New("no such segment")
	// ErrClosed is returned after Close.
	ErrClosed = errors.New("spool is closed")
)

// closeTimeout limits Close when the disk hangs.
const closeTimeout = 5 * time.Second

// Spool is a data directory, open and locked. All methods may be called concurrently, except that there
// is one Tail and one Cut at a time.
type Spool struct {
	fs          disk.FS
	dir         string
	mode        SyncMode
	presence    *wal.Presence // nil: the directory is only read
	manifest    *manifest     // nil: the file system keeps nothing that is not synced
	closing     sync.Once
	stopKeeping func()
	quota       *wal.Quota
	counters    *counters
	timing      *timing
	quarantine  *wal.Quarantine
	letters     *letters
	journal     *journal
	batches     *batches
	ids         *ids
}

// Open locks the directory, makes it if necessary, and recovers its content. It fails when the directory cannot be used (another
// process has it, no permission), or when something in it cannot be read or quarantined (I17): then nothing is lost, and Open can
// be repeated. Damage in the logs never makes it fail.
func Open(o Options) (*Spool, *Recovery, error) {
	start := time.Now()
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	if err := makeDir(o.FS, o.Dir); err != nil {
		return nil, nil, err
	}
	locks, err := lockDir(o.FS, o.Dir)
	if err != nil {
		return nil, nil, err
	}
	presence := wal.NewPresence(locks)
	s := build(o.withDefaults(), presence, false)
	found, err := s.begin(o.Trouble)
	if err != nil {
		return nil, nil, errors.Join(err, presence.Close())
	}
	found.Took = time.Since(start)
	return s, found, nil
}

// begin recovers the content of the directory, and starts the goroutine that watches it.
func (s *Spool) begin(tell func(Trouble)) (*Recovery, error) {
	found, facts, err := s.recover()
	if err != nil {
		return nil, err
	}
	if err := s.watchAll(); err != nil {
		return nil, err
	}
	if err := s.presence.Look(); err != nil { // it was replaced in the meantime: what was read may be of another directory
		return nil, err
	}
	if err := s.adopt(facts, found); err != nil {
		return nil, err
	}
	// Only now, since the manifest has to be written before a removal: otherwise a start after a kill reports the segment as
	// missing.
	_ = s.journal.log.DropWhile(func(_ *wal.Segment, reach, _ uint64) bool { return reach <= uint64(s.Committed())+1 })
	_ = s.batches.removeEnded()
	s.startKeeping(tell)
	return found, nil
}

// build makes the parts; it reads nothing.
func build(o Options, presence *wal.Presence, readOnly bool) *Spool {
	s := &Spool{fs: o.FS, dir: o.Dir, mode: o.Sync, presence: presence, counters: &counters{}, timing: newTiming(), stopKeeping: func() {}}
	if o.FS.Boot() != "" {
		s.manifest = &manifest{fs: o.FS, dir: o.Dir, mode: o.Sync, counters: s.counters}
	}
	s.quota = wal.NewQuota(o.FS, o.Dir, o.MaxBytes, o.MinFreeBytes)
	s.quarantine = wal.NewQuarantine(o.FS, o.Dir, s.quota)
	s.letters = &letters{
		fs: o.FS, root: o.Dir, quota: s.quota, rejected: newRejectedQuota(o), locked: make(map[string]bool), ending: make(map[BatchID]bool),
		live: func(id BatchID) bool { return s.batches.checkLive(id) == nil },
	}
	newLog := func(dir string, kind wal.Kind, bytes int64, spare bool) *wal.Log {
		return wal.New(wal.Options{
			FS: o.FS, Root: o.Dir, Dir: dir, Kind: kind, SegmentBytes: max(bytes, leastSegment), NoSync: o.Sync == Never,
			ReadOnly: readOnly, KeepSpare: spare, Quota: s.quota, Quarantine: s.quarantine, Presence: presence, Synced: s.timing.observe,
			Noted: func(e wal.Extent) { s.manifest.note(kind, e) },
		})
	}
	s.batches = &batches{log: newLog("batches", wal.Batches, o.SegmentBytes/4, true), index: newIndex(s.counters), counters: s.counters, wake: make(chan struct{}, 1)}
	if o.KeepChanges {
		s.batches.booked.Store(1)
	}
	if s.batches.changesLimit = o.MaxBytes / changesQuota; o.MaxBytes == 0 {
		s.batches.changesLimit = changesDefault
	}
	s.batches.groups = grouper{mu: &s.batches.mu, prefix: totalsBytes}
	if s.manifest != nil {
		s.manifest.index = s.batches.index
	}
	s.journal = &journal{
		log: newLog("journal", wal.Journal, o.SegmentBytes, false), counters: s.counters, timing: s.timing, maxIDs: o.MaxIDs,
		admit: s.admit, wake: make(chan struct{}, 1), inFlight: make(map[idHash]*group),
		sourcesInFlight: make(map[event.Source]*group),
	}
	s.journal.groups = grouper{mu: &s.journal.mu, prefix: groupPrefix}
	if o.DedupeWindow > 0 {
		s.journal.dedupe = newDedupeSet(o.DedupeWindow)
	}
	s.ids = &ids{log: newLog("ids", wal.IDs, o.SegmentBytes/8, o.DedupeWindow > 0), journal: s.journal}
	s.journal.note = s.ids.note
	return s
}

// admit returns nil when there is space for so many bytes of events, and for delivering them afterwards. That is why delivery
// never fails for lack of space (I14): for events that are not cut, their size is reserved a second time, and the next segment of
// the batch log is preallocated.
func (s *Spool) admit(bytes int) error {
	for _, log := range [...]*wal.Log{s.batches.log, s.ids.log} {
		if err := log.RefillSpare(); err != nil {
			return err
		}
	}
	s.journal.mu.Lock()
	uncut := s.journal.size
	s.journal.mu.Unlock()
	need := int64(bytes)
	if s.journal.log.Remaining() < need+wal.FrameHead*2+groupPrefix {
		need += s.journal.log.SegmentBytes
	}
	return s.quota.Admit(need, s.reserve(uncut))
}

// reserve returns how many bytes delivery may take while so many bytes of events are not cut.
func (s *Spool) reserve(uncut int64) int64 { return uncut + s.batches.log.SegmentBytes }

// Counts returns one consistent snapshot.
func (s *Spool) Counts() Counts { return s.counters.snapshot() }

// readyBytes is what has to fit for the spool to be ready: a request of a few dozen events. With a smaller value, the rest of a
// segment would make it ready although no request fits.
const readyBytes = 4 << 10

// Ready returns nil when the spool can accept, commit and read events, otherwise the reason. After a disk failure it tries a
// small file, or reads again what could not be read.
func (s *Spool) Ready() error {
	if err := s.presence.Err(); err != nil {
		return err
	}
	if err := errors.Join(s.admit(readyBytes), s.Unreadable()); err != nil {
		return err
	}
	s.journal.mu.Lock()
	closed, failed := s.journal.closed, s.journal.failed
	s.journal.mu.Unlock()
	if closed != nil {
		return closed
	}
	s.batches.mu.Lock()
	failed = errors.Join(failed, s.batches.failed)
	s.batches.mu.Unlock()
	if failed == nil {
		return nil
	}
	if err := s.probe(); err != nil {
		return errors.Join(failed, err)
	}
	return nil
}

// Unreadable returns why something in the logs cannot be read now; nil: no read failure is known. It retries what failed, with
// pauses that grow from 100 ms to 5 s.
func (s *Spool) Unreadable() (err error) {
	for _, l := range s.logs() {
		if why := l.Unreadable(); why != nil {
			err = errors.Join(err, fmt.Errorf("spool: %w", why))
		}
	}
	return err
}

func (s *Spool) logs() [3]*wal.Log {
	return [...]*wal.Log{s.journal.log, s.batches.log, s.ids.log}
}

// probe writes a small file, to find out whether the disk works again.
func (s *Spool) probe() error {
	name := filepath.Join(s.dir, "probe")
	f, err := s.fs.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteAt([]byte("probe"), 0)
	return errors.Join(err, f.Sync(), f.Close(), s.fs.Remove(name))
}

// Close waits for what is being committed, seals the logs and unlocks the directory. Acknowledged data does not depend on it. It
// takes at most five seconds. Closing again does nothing.
func (s *Spool) Close() (err error) {
	s.closing.Do(func() { err = s.close() })
	return err
}

func (s *Spool) close() error {
	done := make(chan error, 1)
	go func() { // ends when the disk answers; Close waits for it at most closeTimeout
		s.stopKeeping()
		s.ids.mu.Lock()
		defer s.ids.mu.Unlock()
		err := errors.Join(s.journal.close(), s.batches.close(), s.ids.log.Close())
		if s.presence.Look() == nil { // otherwise another directory may have this name
			err = errors.Join(err, s.manifest.close([3]wal.Extent{s.journal.log.Extent(), s.batches.log.Extent(), s.ids.log.Extent()}))
		}
		done <- errors.Join(err, s.presence.Close())
	}()
	select {
	case err := <-done:
		return err
	case <-time.After(closeTimeout):
		return errors.New("spool: close: no answer from the disk within 5 seconds")
	}
}
