package ledger

import (
	"context"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

// renaming stores aliases in one transaction of the database, and moves the rows that were booked under them.
type renaming struct {
	run   *run
	book  *booking
	seeks int
	fresh int // aliases that were not stored before
}

// some stores the first of a sorted list of aliases, at least one, and returns how many it did. It returns errNothingNew, so that
// nothing is written, if all of them were stored before.
func (m *renaming) some(ctx context.Context, tx *bbolt.Tx, list []alias, ids map[alias]string) (done int, err error) {
	m.book = m.run.newBooking(tx, &m.run.names)
	for done < len(list) && done < mergeAliases && m.seeks < mergeSeeks {
		a := list[done]
		if err := m.one(tx, a, ids[a]); err != nil {
			return 0, err
		}
		done++
	}
	if m.book.err == nil && m.fresh == 0 {
		return done, errNothingNew
	}
	m.run.changing(m.book.changes)
	if err := m.book.write(ctx); err != nil {
		return 0, err
	}
	now, err := readState(tx)
	if err != nil {
		return 0, err
	}
	return done, now.write(tx)
}

// one stores an alias, unless the name has one.
func (m *renaming) one(tx *bbolt.Tx, a alias, id string) error {
	known := find(tx, nameService, a.service) != 0 && find(tx, nameApplication, a.name) != 0 // otherwise it has no rows
	k := aliasKey{m.book.number(nameService, a.service), m.book.number(nameApplication, a.name)}
	if m.book.err != nil || applicationOf(tx, k) != 0 {
		return m.book.err
	}
	m.fresh++
	app := m.book.number(nameApplication, id)
	bucket, err := tx.CreateBucketIfNotExists(bucketAliases)
	if err != nil {
		return err
	}
	key := k.bytes()
	if err := bucket.Put(key, seal(nil, key, binary.BigEndian.AppendUint32(nil, app))); err != nil {
		return err
	}
	m.run.names.keepApplication(k, app)
	if !known {
		return m.book.err
	}
	return m.rows(tx, k, app)
}

// rows moves the rows of a name to an application. Rows of all applications together stay as they are.
func (m *renaming) rows(tx *bbolt.Tx, from aliasKey, app uint32) error {
	days := tx.Bucket(bucketDays)
	c := days.Cursor()
	var found []row
	wanted := row{service: from.service, app: from.name}
	for {
		m.seeks++
		k, _ := c.Seek(wanted.key())
		if k == nil {
			break
		}
		r := row{binary.BigEndian.Uint32(k), binary.BigEndian.Uint32(k[4:]), binary.BigEndian.Uint32(k[8:])}
		if r == wanted {
			found = append(found, r)
			wanted.day++
			continue
		}
		same := row{r.day, from.service, from.name}
		if wanted.day = r.day; r.compare(same) > 0 {
			wanted.day++
		}
	}
	for _, r := range found {
		if err := m.move(days, r, app); err != nil {
			return err
		}
	}
	return nil
}

// move adds a row to that of an application, and deletes it.
func (m *renaming) move(days *bbolt.Bucket, from row, app uint32) error {
	key := from.key()
	data, err := unseal(key, days.Get(key), m.book.strict)
	if err == nil {
		to := m.book.change(row{from.day, from.service, app})
		err = eachCell(data, func(c *cell) { to.add(c.metric, c.hour, c.Figures) })
	}
	if err != nil {
		return fmt.Errorf("%w: %s of service number %d: %w", errDamaged, dayTime(from.day).Format(time.DateOnly), from.service, err)
	}
	return days.Delete(key)
}
