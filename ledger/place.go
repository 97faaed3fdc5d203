package ledger

import (
	"fmt"

	"go.etcd.io/bbolt"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/spool"
)

// Anchor compares the place where the ledger stopped reading with the batch log, and tells the spool where it continues. A log
// that lost its end (a disk that lied, a backup) reuses the numbers of lost records, so the place has a checksum. If the log
// differs, the ledger continues at the newest place that agrees, or at the end of a log that is shorter than what was booked, and
// is marked as incomplete: usage that is sealed again is counted again. If the spool's manifest shows that records are missing,
// their numbers are not used again: the ledger continues where it was, and is marked.
//
// It tells the spool nothing before a write transaction of its own has succeeded. A process that was killed, or whose sync failed,
// may have left the page that names the last transaction in the page cache only. With a loss of power the place would go back,
// behind records that the spool had removed.
//
// After an error, Anchor may be called again; Run does so.
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
	if err := l.update(func(*bbolt.Tx) error { return nil }); err != nil {
		return err
	}
	l.next = place
	l.updateStats(func(s *Stats) { s.Next = l.Next() })
	s.Booked(l.Next())
	l.anchored = true
	return nil
}

// placeIn returns the place to continue at, and whether the log lost records before it.
func (l *Ledger) placeIn(s *spool.Spool, now *state) (place uint64, lost bool, err error) {
	if now.next <= 1 {
		return now.next, false, nil
	}
	if len(now.places) == 0 { // of an older version
		return min(now.next, s.ChangesEnd()), false, nil
	}
	end, shorter := s.ChangesEnd(), now.next > s.ChangesEnd()
	for i := len(now.places) - 1; i >= 0; i-- {
		m := now.places[i]
		agrees, err := s.ChangesAgree(m.next, m.sum)
		if err != nil {
			return 0, false, fmt.Errorf("ledger: %w", err)
		}
		if agrees == spool.PlaceMissing && m.next == now.next { // later records have higher numbers
			return now.next, true, nil
		}
		if agrees == spool.PlaceHolds || agrees == spool.PlaceUnknown {
			if i+1 < len(now.places) && shorter {
				break
			}
			return m.next, false, nil
		}
	}
	return end, true, nil
}

// moveTo sets another place, and marks the ledger as incomplete.
func (l *Ledger) moveTo(s *spool.Spool, now *state, place uint64) error {
	l.options.Log.Error("the batch log lost its end, or was replaced: the ledger's figures may be wrong, and usage that is sent again is counted twice in it",
		zap.Uint64("booked_up_to", now.next), zap.Uint64("log_ends_at", s.ChangesEnd()), zap.Uint64("goes_on_at", place))
	now.next, now.missed = place, true
	for len(now.places) > 0 && now.places[len(now.places)-1].next > place {
		now.places = now.places[:len(now.places)-1]
	}
	err := l.update(func(tx *bbolt.Tx) error { return now.write(tx) })
	if err != nil {
		return err
	}
	l.updateStats(func(s *Stats) { s.Missed = true })
	return nil
}
