package spool

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/reporterd/reporterd/spool/wal"
)

// Missing is a range of a log that was durable and is gone.
type Missing struct {
	Log         string // journal, batches or ids
	First, Last uint64 // sequence numbers: events in the journal, records in the batch log, ids in ids
	Exact       bool   // false: more may be missing behind Last
	oldest      bool   // before the first segment that is left: none of it is about a batch of a later segment
}

// String describes it for an operator.
func (m Missing) String() string {
	what := map[string]string{"journal": "acknowledged events", "batches": "records of what became of batches", "ids": "event ids"}[m.Log]
	more := ""
	if !m.Exact {
		more = " at least"
	}
	return fmt.Sprintf("%s/: %s %d to %d are missing%s: the files that held them were removed, shortened or overwritten", m.Log, what, m.First, m.Last, more)
}

// recentHoles returns the newest ranges missing from a log, as many as the manifest can store.
func recentHoles(l *wal.Log) []wal.Numbers {
	holes := l.Holes()
	return holes[max(len(holes)-manifestHoles, 0):]
}

// compareBatches finds what the batch log lost, by the manifest and by gaps in the sequence numbers. When the end of the log is
// gone, the manifest's totals are used, and new sequence numbers begin behind those it knows (I6). It runs after the batch log
// was read and before the journal is.
func (s *Spool) compareBatches(r *manifestFacts, found *Recovery) error {
	l := s.batches.log
	short := r.found && r.logs[wal.Batches-1].Next > l.NextSequence()
	if short {
		l.Raise(r.logs[wal.Batches-1].Next)
		s.counters.update(func(c *Counts) {
			c.Delivered, c.Dead = max(c.Delivered, r.counts.Delivered), max(c.Dead, r.counts.Dead)
			c.Lost, c.Ambiguous = max(c.Lost, r.counts.Lost), max(c.Ambiguous, r.counts.Ambiguous)
		})
		s.batches.index.requeues = max(s.batches.index.requeues, r.requeues)
	}
	for _, h := range recentHoles(l) {
		if !slices.Contains(r.holes, h) {
			found.Missing = append(found.Missing, Missing{Log: l.Dir, First: h.First, Last: h.Last, Exact: h.Last+1 < l.NextSequence() || r.exact})
		}
	}
	found.missOldest(l, r)
	if short {
		if err := s.quarantineTornEnd(l, found); err != nil {
			return err
		}
	}
	s.counters.update(func(c *Counts) {
		if (r.copied || r.restored != "") && !r.closed {
			//				// The copy was made while the directory was in use, so its files are of different moments. Events accepted after
			//				// the journal was copied belong to the original.
			c.Accepted = uint64(s.batches.index.position())
		} else if r.found { // positions that were accepted are not used again, however much of the journal is left
			c.Accepted = max(c.Accepted, r.counts.Accepted)
		}
	})
	return nil
}

// missOldest finds segments that are missing before the oldest one that is left. Only a current manifest can tell: it is written
// before each removal. An older one, or one that was copied together with files of another moment, cannot.
func (r *Recovery) missOldest(l *wal.Log, known *manifestFacts) {
	left := l.Ranges()
	if !known.exact || known.copied || known.restored != "" || len(left) == 0 {
		return
	}
	if was, is := known.logs[l.Kind-1].First, left[0].First; was > 0 && was < is {
		r.Missing = append(r.Missing, Missing{Log: l.Dir, First: was, Last: is - 1, Exact: true, oldest: true})
	}
}

// compareJournal finds what the journal lost. It runs after the journal was read; Accepted was known, so the lost events are
// counted already.
func (s *Spool) compareJournal(r *manifestFacts, found *Recovery) error {
	l := s.journal.log
	from, reached := uint64(s.batches.index.position())+1, uint64(1)
	for i, held := range l.Ranges() {
		if low := max(reached, from); held.First > low && (i > 0 || held.First > from) {
			found.Missing = append(found.Missing, Missing{Log: l.Dir, First: low, Last: held.First - 1, Exact: true})
		}
		reached = max(reached, held.Last+1)
	}
	next := l.NextSequence()
	if low := max(reached, from); next > low {
		found.Missing = append(found.Missing, Missing{Log: l.Dir, First: low, Last: next - 1, Exact: r.exact})
		if err := s.quarantineTornEnd(l, found); err != nil {
			return err
		}
	}
	found.missOldest(s.ids.log, r)
	if ids := s.ids.log; r.found && r.logs[wal.IDs-1].Next > ids.NextSequence() {
		found.Missing = append(found.Missing, Missing{Log: ids.Dir, First: ids.NextSequence(), Last: r.logs[wal.IDs-1].Next - 1, Exact: r.exact})
		return s.quarantineTornEnd(ids, found)
	}
	return nil
}

// quarantineTornEnd treats a torn end as damage, since it contained durable entries: it is kept in quarantine/. It returns once that is
// durable. An error ends the start: without the copy nothing may be written behind the torn end (I17).
func (s *Spool) quarantineTornEnd(l *wal.Log, found *Recovery) error {
	last := l.Last()
	if last == nil {
		return nil
	}
	kept := found.Torn[:0]
	for _, t := range found.Torn {
		if !strings.HasPrefix(t.File, l.Dir+string(filepath.Separator)) {
			kept = append(kept, t)
			continue
		}
		if t.File == filepath.Join(l.Dir, last.Name()) {
			if err := l.KeepRange(last, t.Offset, t.Offset+t.Bytes); err != nil {
				return fmt.Errorf("spool: read %s: %w", l.Dir, err)
			}
		}
		found.Damaged = append(found.Damaged, t)
	}
	found.Torn = kept
	return nil
}
