package ledger

import (
	"fmt"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
)

// Anchor holds the place where the ledger stopped reading against the batch log, and tells the spool from where on it reads.
// A log that lost its end (a disk that lied, a backup) gives the numbers of lost records to other ones, so the place has a
// checksum. Where the log differs, reading goes on from the newest place that agrees, or from the end of a log that is
// shorter than what was booked, and the ledger is marked: usage that is sealed again is counted again. Where the spool's
// manifest tells that records are missing, their numbers are not used again: reading goes on where it was, and the ledger is
// marked.
//
// An error is the disk's. Anchor may be called again then; Run does so by itself.
func (l *Ledger) Anchor(s *spool.Spool) error {
	var now state
	err := l.view(func(tx *bbolt.Tx) (err error) {
		now, err = readState(tx)
		return err
	})
	if err != nil {
		return err
	}
	place, lost, err := l.placeIn(s, &now)
	if err != nil {
		return err
	}
	if place != now.next || lost && !now.missed {
		if err := l.moveTo(s, &now, place); err != nil {
			return err
		}
	}
	l.next = place
	l.note(func(s *Stats) { s.Next = l.Next() })
	s.Booked(l.Next())
	l.anchored = true
	return nil
}

// placeIn returns where reading goes on, and whether the log lost records before that.
func (l *Ledger) placeIn(s *spool.Spool, now *state) (place uint64, lost bool, err error) {
	if now.next <= 1 {
		return now.next, false, nil
	}
	if len(now.marks) == 0 { // of an older version
		return min(now.next, s.ChangesEnd()), false, nil
	}
	end, shorter := s.ChangesEnd(), now.next > s.ChangesEnd()
	for i := len(now.marks) - 1; i >= 0; i-- {
		m := now.marks[i]
		agrees, err := s.ChangesAgree(m.next, m.sum)
		if err != nil {
			return 0, false, fmt.Errorf("ledger: %w", err)
		}
		if agrees == spool.PlaceMissing && m.next == now.next { // the next records have higher numbers
			return now.next, true, nil
		}
		if agrees == spool.PlaceHolds || agrees == spool.PlaceUnknown {
			if i+1 < len(now.marks) && shorter {
				break
			}
			return m.next, false, nil
		}
	}
	return end, true, nil
}

// moveTo gives the ledger another place, and marks it.
func (l *Ledger) moveTo(s *spool.Spool, now *state, place uint64) error {
	l.options.Log.Error("the batch log lost its end, or was replaced: figures of the ledger may be wrong, and usage that is sent again is counted again",
		zap.Uint64("booked_up_to", now.next), zap.Uint64("log_ends_at", s.ChangesEnd()), zap.Uint64("goes_on_at", place))
	now.next, now.missed = place, true
	for len(now.marks) > 0 && now.marks[len(now.marks)-1].next > place {
		now.marks = now.marks[:len(now.marks)-1]
	}
	err := l.update(func(tx *bbolt.Tx) error { return now.write(tx) })
	if err != nil {
		return err
	}
	l.note(func(s *Stats) { s.Missed = true })
	return nil
}
