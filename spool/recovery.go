package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/reporterd/reporterd/spool/wal"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/spool/disk"
)

// Recovery is what Open found.
type Recovery struct {
	Counts       Counts
	Committed    Position
	Batches      int       // live
	wal.Findings           // problems of the files
	Unanswered   int       // batches with an attempt whose outcome is not recorded
	Unknown      uint64    // events in them, counted as ambiguous
	Lost         uint64    // events found lost by this recovery, even if an earlier one reported the same loss
	Undone       uint64    // events that had been counted delivered or dead, and are pending again
	Missing      []Missing // what was durable and is gone, by the manifest and by gaps in the sequence numbers
	Exact        bool      // the manifest was current: Lost is everything that was lost; otherwise it may be more
	Rebuilt      bool      // the manifest or one of its two files was missing or damaged
	Copied       bool      // the directory is a copy of the one that was used before
	Restored     bool      // an operator declared that it was restored
	Held         uint64    // events that are held until an operator decides
	Identity     string    // of the directory, in hexadecimal; empty: the file system keeps none
	Took         time.Duration
}

// Lines returns what an operator should read, one fact a line; the first line is a summary.
func (r *Recovery) Lines() []string {
	c := r.Counts
	lines := []string{fmt.Sprintf(
		"recovered in %s: %d events accepted, %d delivered, %d dead, %d pending in %d batches and the journal, %d lost",
		r.Took.Round(time.Microsecond), c.Accepted, c.Delivered, c.Dead, c.Pending, r.Batches, c.Lost)}
	for _, t := range r.Torn {
		if slices.ContainsFunc(r.Short, func(m wal.Range) bool { return m.File == t.File }) {
			continue // reported with Short
		}
		lines = append(lines, fmt.Sprintf("%s: torn end at offset %d cut: never acknowledged", t.File, t.Offset))
	}
	for _, m := range r.Short {
		lines = append(lines, fmt.Sprintf("%s: ends at offset %d, %d bytes short: unless a write failed before, the file was truncated, and acknowledged events may be lost", m.File, m.Offset, m.Bytes))
	}
	for _, d := range r.Damaged {
		lines = append(lines, fmt.Sprintf("%s: %d bytes damaged at offset %d, kept in %s/", d.File, d.Bytes, d.Offset, wal.QuarantineDir))
	}
	lines = append(lines, r.Refused...)
	for _, m := range r.Missing {
		lines = append(lines, m.String())
	}
	if r.Rebuilt {
		lines = append(lines, "the manifest is missing or damaged and is rebuilt: if the newest entries of a log are missing too, that cannot be detected")
	}
	if r.Lost > 0 && len(r.Missing) > 0 && !r.Exact {
		lines = append(lines, fmt.Sprintf("at least %d events lost: what was written just before the machine stopped is unknown", r.Lost))
	} else if r.Lost > 0 {
		lines = append(lines, fmt.Sprintf("%d events lost to damage", r.Lost))
	}
	lines = append(lines, r.heldLines()...)
	if r.Undone > 0 {
		lines = append(lines, fmt.Sprintf("%d events were counted as delivered or dead, the record is damaged, they are pending again", r.Undone))
	}
	if r.Unanswered > 0 {
		lines = append(lines, fmt.Sprintf("%d batches with %d events were being reported when the process ended: outcome unknown", r.Unanswered, r.Unknown))
	}
	return lines
}

// heldLines says which events are held until an operator decides, and why.
func (r *Recovery) heldLines() (lines []string) {
	switch {
	case r.Copied:
		lines = append(lines, "the directory is a copy of the one that was used before: what it has not delivered may have been delivered by the original")
	case r.Restored:
		lines = append(lines, RestoredName+" was found: the directory was restored from a copy")
	}
	if r.Held > 0 {
		lines = append(lines, fmt.Sprintf("%d events are parked and not sent until you decide: list them with GET /api/v1/parked, then POST /api/v1/parked/ID/resend, counted or bury", r.Held))
	}
	return lines
}

// recover rebuilds everything in memory from disk: first batches, then ids, then the journal behind the last cut.
func (s *Spool) recover() (*Recovery, *manifestFacts, error) {
	facts, err := s.manifest.load() // before the logs, which may grow while they are read
	if err != nil {
		return nil, nil, err
	}
	if err := s.originOf(&facts); err != nil {
		return nil, nil, err
	}
	found := &Recovery{Exact: facts.exact, Copied: facts.copied, Restored: facts.restored != ""}
	err = s.readLogs(&facts, found)
	return found, &facts, err
}

// readLogs reads the logs one after the other, and compares each with the manifest.
func (s *Spool) readLogs(facts *manifestFacts, found *Recovery) error {
	for _, dir := range []string{"journal", "batches", "ids", lettersDir, wal.QuarantineDir} {
		if err := makeDir(s.fs, filepath.Join(s.dir, dir)); err != nil {
			return err
		}
	}
	if err := s.syncNames(); err != nil {
		return fmt.Errorf("spool: data directory: %w", err)
	}
	if err := errors.Join(s.quarantine.Measure(), s.letters.measure()); err != nil {
		return fmt.Errorf("spool: data directory: %w", err)
	}
	for _, log := range s.logs() {
		log.Trust(facts.durable(log.Kind))
	}
	if err := s.batches.log.Open(0, &found.Findings, s.batches.replay); err != nil {
		return err
	}
	if err := s.compareBatches(facts, found); err != nil {
		return err
	}
	s.batches.index.dropStaged()
	stale := s.letters.stale(s.batches.index.isStale)
	for _, letter := range s.batches.index.requeuedLetters() {
		s.letters.locked[letter] = true // until removeRequeued has removed it
	}
	if err := s.ids.log.Open(0, &found.Findings, s.ids.visit); err != nil {
		return err
	}
	s.ids.endReplay()
	if err := s.replayJournal(found); err != nil {
		return err
	}
	if err := s.compareJournal(facts, found); err != nil {
		return err
	}
	return s.repair(found, stale)
}

// repair changes the directory according to what was found. Everything was read before (I17).
func (s *Spool) repair(found *Recovery, stale []string) error {
	for _, log := range [...]*wal.Log{s.batches.log, s.ids.log, s.journal.log} {
		if err := log.Repair(); err != nil {
			return err
		}
	}
	if err := s.letters.removeFiles(stale); err != nil {
		return fmt.Errorf("spool: dead letters: %w", err)
	}
	s.finishRecovery(found)
	return nil
}

// makeDir makes a directory. If a file is in its place, the error says what to do.
func makeDir(to disk.FS, dir string) error {
	err := to.MkdirAll(dir, 0o700)
	switch {
	case errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("spool: data directory: %s is a file and has to be a directory: move the file away and start again: %w", dir, err)
	case err != nil:
		return fmt.Errorf("spool: data directory: %w", err)
	}
	return nil
}

// syncNames makes the names of the directories durable, and the changes that an earlier process did not sync.
func (s *Spool) syncNames() error {
	if s.mode == Never {
		return nil
	}
	for _, dir := range []string{"", "journal", "batches", "ids", lettersDir} {
		if err := s.fs.SyncDir(filepath.Join(s.dir, dir)); err != nil {
			return err
		}
	}
	return s.syncAncestors()
}

// syncAncestors makes the names of the data directory and of the directories above it durable: a file is lost if the name of its
// directory is. A directory in which this process may not create names is not synced: its names were made by another user, before
// the start.
func (s *Spool) syncAncestors() error {
	for dir := filepath.Clean(s.dir); ; {
		above := filepath.Dir(dir)
		if above == dir || dir == "." {
			return nil
		}
		err := s.fs.SyncDir(above)
		if errors.Is(err, os.ErrPermission) && s.mayCreate(above) {
			return fmt.Errorf("%s may be written and not read, so names in it cannot be made durable: grant read permission: %w", above, err)
		}
		if err != nil && !errors.Is(err, os.ErrPermission) {
			return err
		}
		dir = above
	}
}

// mayCreate reports whether this process may create names in a directory.
func (s *Spool) mayCreate(dir string) bool {
	probe := filepath.Join(dir, ".reporterd-probe")
	file, err := s.fs.OpenFile(probe, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		_, _ = file.Close(), s.fs.Remove(probe)
	}
	return !errors.Is(err, os.ErrPermission)
}

// replay applies the records of a frame. Of a damaged frame, it applies the records whose own checksum holds.
func (b *batches) replay(s *wal.Segment, _ wal.Frame, offset int64, payload []byte, _ bool) {
	for rest := payload; len(rest) > 0; {
		at := len(payload) - len(rest)
		var body []byte
		body, rest = cutRecord(rest)
		if body == nil {
			continue
		}
		if r, err := b.index.parseRecord(body, at); err == nil {
			b.index.apply(r, s, offset+wal.FrameHead)
		}
	}
}

// dropStaged drops the batches of a cut whose record is missing, and the children of a batch that is live: the record of that
// split is damaged, and the next split will reuse their ids.
func (x *index) dropStaged() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.unstageLocked()
	for id, e := range x.live {
		if x.descendsLocked(id) {
			x.removeLocked(e)
		}
	}
}

// descendsLocked reports whether a batch that the given one was split from is live.
func (x *index) descendsLocked(id BatchID) bool {
	for id.Path != 0 {
		id.Path >>= 4
		if x.live[id] != nil {
			return true
		}
	}
	return false
}

func (i *ids) visit(s *wal.Segment, _ wal.Frame, _ int64, payload []byte, whole bool) {
	if whole {
		i.replay(s, payload)
	}
}

// replayJournal finds the end of the journal, and what of it is pending.
func (s *Spool) replayJournal(found *Recovery) error {
	j := s.journal
	committed := s.batches.index.position()
	expected, pending := uint64(committed)+1, uint64(0)
	err := j.log.Open(expected, &found.Findings, func(_ *wal.Segment, f wal.Frame, _ int64, payload []byte, whole bool) {
		if !whole || len(payload) < groupPrefix || f.Next() <= expected {
			return
		}
		if f.First > expected {
			j.gaps = append(j.gaps, gap{Position(expected), Position(f.First - 1)})
			expected = f.First
		}
		pending += f.Next() - expected
		j.size += f.Size()
		j.replay(f, payload, Position(expected))
		expected = f.Next()
	})
	if err != nil {
		return err
	}
	//	// I6: accepted positions are not used again, even if the journal's end is gone. Those that no cut contains are lost.
	j.log.Raise(max(uint64(committed)+1, s.counters.snapshot().Accepted+1))
	next := j.log.NextSequence()
	if next > expected {
		j.gaps = append(j.gaps, gap{Position(expected), Position(next - 1)})
	}
	pending += s.batches.index.pending()
	found.Lost, found.Undone = s.counters.reconcile(next-1, pending)
	return nil
}

// replay takes over the ids of a frame's events from a position on, and the count of duplicates.
func (j *journal) replay(f wal.Frame, payload []byte, from Position) {
	accepted := time.Unix(0, int64(binary.LittleEndian.Uint64(payload))).Unix()
	duplicates := binary.LittleEndian.Uint64(payload[8:])
	j.counters.update(func(c *Counts) { c.Duplicates = max(c.Duplicates, duplicates) })
	d := decoder{data: payload[groupPrefix:]}
	var v event.Event
	p := Position(f.First)
	d.source = func(s event.Source) {
		j.sources.add(s)
		if at := min(p, Position(f.Next()-1)); at >= from {
			j.uncutSources = append(j.uncutSources, uncutSource{position: at, source: s})
		}
	}
	for ; p < Position(f.Next()) && d.err == nil; p++ {
		if m, hasID := d.event(&v); hasID && p >= from && d.err == nil && j.dedupe != nil {
			j.remember(m, accepted)
			j.uncut = append(j.uncut, uncutHash{position: p, hash: m, stamp: uint32(accepted)})
		}
	}
	d.sources(d.source) // after the last event
}

// pending returns how many events are in live batches.
func (x *index) pending() (n uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.live {
		n += e.events
	}
	return n
}

// finishRecovery does what needs the result of recovery; none of it has to succeed.
func (s *Spool) finishRecovery(found *Recovery) {
	s.batches.log.RefillSpare()
	s.ids.log.RefillSpare()
	found.Unanswered, found.Unknown = s.batches.answerOpen()
	s.removeRequeued()
	found.Committed, found.Counts = s.Committed(), s.counters.snapshot()
	found.Batches = len(s.batches.index.live)
}

// answerOpen counts attempts without a recorded outcome as ambiguous: they were being reported when the last process ended. If
// the record cannot be written, the next start retries.
func (b *batches) answerOpen() (count int, events uint64) {
	var data []byte
	var records []logged
	for id, e := range b.index.live {
		if e.open {
			r := &record{kind: recordAmbiguous, id: id}
			data = r.append(data)
			records = append(records, logged{record: r})
			count, events = count+1, events+e.events
		}
	}
	if count > 0 {
		_ = b.append(data, records)
	}
	return count, events
}
