package ledger

import (
	"encoding/binary"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

// Services returns the services with figures since a day, sorted.
func (l *Ledger) Services(since time.Time) (found []string, err error) {
	err = l.answer(func(tx *bbolt.Tx) error {
		seen, names := make(map[uint32]bool), texts{tx: tx, known: make(map[uint32]string)}
		c := tx.Bucket(bucketDays).Cursor()
		r := row{day: dayOf(since)}
		for k, _ := c.Seek(r.key()); k != nil; k, _ = c.Seek(r.key()) {
			day, service := binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:])
			if !seen[service] {
				seen[service] = true
				found = append(found, names.text(nameService, service))
			}
			r = row{day: day, service: service + 1}
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}

// Applications returns the applications of a service with figures since a day, sorted. It reads keys only.
func (l *Ledger) Applications(service string, since time.Time) (found []string, err error) {
	err = l.answer(func(tx *bbolt.Tx) error {
		number := find(tx, nameService, service)
		if number == 0 {
			return nil
		}
		seen, names := make(map[uint32]bool), texts{tx: tx, known: make(map[uint32]string)}
		c := tx.Bucket(bucketDays).Cursor()
		r := row{day: dayOf(since), service: number, app: 1}
		for k, _ := c.Seek(r.key()); k != nil; {
			switch day, of := binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:]); {
			case of < number:
				r.day = day
				k, _ = c.Seek(r.key())
			case of > number:
				r.day = day + 1
				k, _ = c.Seek(r.key())
			default:
				if app := binary.BigEndian.Uint32(k[8:]); app != 0 && !seen[app] {
					seen[app] = true
					found = append(found, names.text(nameApplication, app))
				}
				k, _ = c.Next()
			}
		}
		return nil
	})
	slices.Sort(found)
	return found, err
}

func dayOf(t time.Time) uint32 { return uint32(max(0, t.Unix()/86400)) }
