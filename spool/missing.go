package spool

import (
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// Missing is a range of a log that was durable and is not there any more.
type Missing struct {
	Log         string // journal, batches or ids
	First, Last uint64 // sequence numbers: events in the journal, records in the batch log, ids in ids
	Exact       bool   // otherwise more may be missing behind Last
	oldest      bool   // it is all from before the first segment that is left: none of it is about a batch of a later one
}

// String says it for an operator.
func (m Missing) String() string {
	what := map[string]string{"journal": "acknowledged events", "batches": "records of what became of batches", "ids": "event ids"}[m.Log]
	more := ""
	if !m.Exact {
		more = " at least"
	}
	return fmt.Sprintf("%s/: %s %d to %d are missing%s: the files that held them were removed, shortened or overwritten", m.Log, what, m.First, m.Last, more)
}

// holes returns what is missing between the segments of a log, and behind the last one.
func (l *segmentLog) holes() (found []hole) {
	l.mu.Lock()
	defer l.mu.Unlock()
	reached := uint64(1)
	for i, s := range l.segments {
		if i > 0 && s.first > reached {
			found = append(found, hole{reached, s.first - 1})
		}
		reached = max(reached, s.next)
	}
	if l.next > reached {
		found = append(found, hole{reached, l.next - 1})
	}
	return found[max(len(found)-manifestHoles, 0):]
}

// compareBatches finds what the batch log lost, as the manifest and the numbers tell. When its end is gone, the
// totals of the manifest count, and the sequence numbers go on behind those that were seen (I6). It runs
// after the batch log was read and before the journal is.
func (s *Spool) compareBatches(r *manifestFacts, found *Recovery) error {
	l := s.batches.log
	short := r.known && r.logs[batchesLog-1].next > l.next
	if short {
		l.next = r.logs[batchesLog-1].next
		s.counters.update(func(c *Counts) {
			c.Delivered, c.Dead = max(c.Delivered, r.counts.Delivered), max(c.Dead, r.counts.Dead)
			c.Lost, c.Ambiguous = max(c.Lost, r.counts.Lost), max(c.Ambiguous, r.counts.Ambiguous)
		})
		s.batches.index.requeues = max(s.batches.index.requeues, r.requeues)
	}
	for _, h := range l.holes() {
		if !slices.Contains(r.holes, h) {
			found.Missing = append(found.Missing, Missing{Log: l.dir, First: h.first, Last: h.last, Exact: h.last+1 < l.next || r.exact})
		}
	}
	found.missOldest(l, r)
	if short {
		if err := s.distrustEnd(l, found); err != nil {
			return err
		}
	}
	s.counters.update(func(c *Counts) {
		if (r.copied || r.restored != "") && !r.closed {
			// It was copied while it was in use, and its files are of different moments: what was accepted after
			// the journal was copied is the original's.
			c.Accepted = uint64(s.batches.index.position())
		} else if r.known { // what was accepted is not numbered again, whatever is left of the journal
			c.Accepted = max(c.Accepted, r.counts.Accepted)
		}
	})
	return nil
}

// missOldest finds segments that are missing before the first one that is left. A manifest that is current was told of every
// removal before it was made; an older one, or one that was copied beside files of another moment, tells nothing.
func (found *Recovery) missOldest(l *segmentLog, r *manifestFacts) {
	if !r.exact || r.copied || r.restored != "" || len(l.segments) == 0 {
		return
	}
	if was, is := r.logs[l.kind-1].first, l.segments[0].first; was > 0 && was < is {
		found.Missing = append(found.Missing, Missing{Log: l.dir, First: was, Last: is - 1, Exact: true, oldest: true})
	}
}

// compareJournal finds what the journal lost. It runs after the journal was read: Accepted was known, so all
// of it is counted already.
func (s *Spool) compareJournal(r *manifestFacts, found *Recovery) error {
	l := s.journal.log
	from, reached := uint64(s.batches.index.position())+1, uint64(1)
	l.mu.Lock()
	for i, seg := range l.segments {
		if low := max(reached, from); seg.first > low && (i > 0 || seg.first > from) {
			found.Missing = append(found.Missing, Missing{Log: l.dir, First: low, Last: seg.first - 1, Exact: true})
		}
		reached = max(reached, seg.next)
	}
	next := l.next
	l.mu.Unlock()
	if low := max(reached, from); next > low {
		found.Missing = append(found.Missing, Missing{Log: l.dir, First: low, Last: next - 1, Exact: r.exact})
		if err := s.distrustEnd(l, found); err != nil {
			return err
		}
	}
	found.missOldest(s.ids.log, r)
	if ids := s.ids.log; r.known && r.logs[idsLog-1].next > ids.next {
		found.Missing = append(found.Missing, Missing{Log: ids.dir, First: ids.next, Last: r.logs[idsLog-1].next - 1, Exact: r.exact})
		return s.distrustEnd(ids, found)
	}
	return nil
}

// distrustEnd takes a torn end for damage, since it held what was durable: it is kept in quarantine/. It returns once that is
// durable. An error ends the start: without the copy nothing may be written behind the torn end (I17).
func (s *Spool) distrustEnd(l *segmentLog, found *Recovery) error {
	last := l.last()
	if last == nil {
		return nil
	}
	kept := found.Torn[:0]
	for _, t := range found.Torn {
		if !strings.HasPrefix(t.File, l.dir+string(filepath.Separator)) {
			kept = append(kept, t)
			continue
		}
		if t.File == filepath.Join(l.dir, last.name()) {
			if err := s.quarantine.keepRange(l, last, t.Offset, t.Offset+t.Bytes); err != nil {
				return fmt.Errorf("spool: read %s: %w", l.dir, err)
			}
		}
		found.Damaged = append(found.Damaged, t)
	}
	found.Torn = kept
	return nil
}

// whyForeign says why a file that was set aside is none of this log's.
func (l *segmentLog) whyForeign(s *segment) string {
	head := make([]byte, segmentHead)
	if l.readAt(s, head, 0) == nil && s.misnamed(head, l.kind) {
		first, try := binary.LittleEndian.Uint64(head[16:]), binary.LittleEndian.Uint32(head[12:])
		return "a copy of " + (&segment{first: first, try: try}).name() + " under another name"
	}
	return "written by another version of reporterd"
}
