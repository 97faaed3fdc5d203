package ledger

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"go.etcd.io/bbolt"
)

const (
	salvageRows  = 20_000
	salvageBytes = 16 << 20
)

// salvaged counts what was recovered from a damaged file.
type salvaged struct {
	Rows, Batches, Names int
	Lost                 int // damaged values and pages
}

// salvage copies the valid part of a damaged file into a new one, durably. It fails if the state does not hold: then it is
// unknown what is booked. The file must not be written meanwhile.
func salvage(ctx context.Context, from, to string) (found salvaged, err error) {
	file, err := os.Open(from)
	if err != nil {
		return found, err
	}
	defer func() { _ = file.Close() }()
	s := &salvager{names: make(map[string]uint32), numbers: make(map[uint32]string)}
	w := walker{ctx: ctx, lenient: true, value: s.readNames}
	if err := w.walk(file); err != nil {
		return found, err
	}
	if !s.in.known && s.in.state.next == 0 || s.bad != nil {
		return found, errState
	}
	db, err := bbolt.Open(to, 0o600, &bbolt.Options{Timeout: time.Second, NoSync: true})
	if err != nil {
		return found, err
	}
	defer func() {
		if closing := db.Close(); err == nil {
			err = closing
		}
	}()
	s.db = db
	if err := db.Update(makeBuckets); err != nil {
		return found, err
	}
	s.lost = w.lost
	if err := s.keepNames(); err != nil {
		return found, err
	}
	w = walker{ctx: ctx, lenient: true, value: s.copyRows}
	if err := w.walk(file); err != nil {
		return found, err
	}
	if err := s.end(); err != nil {
		return found, err
	}
	return salvaged{Rows: s.rows, Batches: s.batches, Names: len(s.known), Lost: s.lost}, nil
}

// salvager copies the valid values. It is for one goroutine.
type salvager struct {
	in      inspection
	bad     error             // of the state
	names   map[string]uint32 // kind and text
	numbers map[uint32]string // kind and text
	known   map[uint32]string // the pairs of numbers that agree with names
	db      *bbolt.DB

	pending             []element // to be written; buckets has the bucket of each
	buckets             []string
	size                int
	rows, batches, lost int
	evidence            int64
}

// readNames reads the state and the names.
func (s *salvager) readNames(bucket string, key, value []byte) error {
	switch {
	case key == nil:
	case bucket == string(bucketMeta):
		if err := s.in.meta(string(key), value); err != nil && string(key) == string(keyState) {
			s.bad = err
		}
	case bucket == string(bucketNames) && len(value) == 4:
		s.names[string(key)] = binary.BigEndian.Uint32(value)
	case bucket == string(bucketNumbers) && len(key) == 5:
		s.numbers[binary.BigEndian.Uint32(key[1:])] = string(key[:1]) + string(value)
	}
	return nil
}

// keepNames writes the names for which both buckets agree.
func (s *salvager) keepNames() error {
	s.known = make(map[uint32]string)
	for number, name := range s.numbers {
		if s.names[name] == number {
			s.known[number] = name
			continue
		}
		s.lost++
	}
	for _, number := range slices.Sorted(maps.Keys(s.known)) {
		name := []byte(s.known[number])
		at := binary.BigEndian.AppendUint32(nil, number)
		if err := s.add(bucketNames, name, at); err != nil {
			return err
		}
		if err := s.add(bucketNumbers, append(name[:1:1], at...), name[1:]); err != nil {
			return err
		}
	}
	return nil
}

// copyRows copies the valid rows and batches.
func (s *salvager) copyRows(bucket string, key, value []byte) error {
	if key == nil || bucket != string(bucketDays) && bucket != string(bucketBatches) && bucket != string(bucketAliases) {
		return nil
	}
	plain, err := unseal(key, value, s.in.state.sealed || bucket == string(bucketAliases))
	if err != nil || !s.holds(bucket, key, plain) {
		s.lost++
		return nil
	}
	sealed := seal(nil, key, plain)
	if bucket == string(bucketDays) {
		s.rows++
		return s.add(bucketDays, bytes.Clone(key), sealed)
	}
	if bucket == string(bucketAliases) {
		return s.add(bucketAliases, bytes.Clone(key), sealed)
	}
	s.batches++
	s.evidence += int64(len(sealed))
	return s.add(bucketBatches, bytes.Clone(key), sealed)
}

// holds reports whether a value can be decoded and all its numbers have names.
func (s *salvager) holds(bucket string, key, plain []byte) bool {
	if bucket == string(bucketBatches) {
		var r batchRow
		if isRepeat(key) {
			d := reader{data: plain}
			return d.unsigned() > 0 && !d.bad
		}
		return len(key) > 4 && r.decode(plain) && s.known[r.service] != "" && r.known(s.known)
	}
	if bucket == string(bucketAliases) {
		return len(key) == 8 && len(plain) == 4 && s.isName(nameService, key[:4]) && s.isName(nameApplication, key[4:]) && s.isName(nameApplication, plain)
	}
	if len(key) != 12 {
		return false
	}
	app, all := binary.BigEndian.Uint32(key[8:]), true
	err := eachCell(plain, func(c *cell) { all = all && s.known[c.metric] != "" })
	return err == nil && all && s.known[binary.BigEndian.Uint32(key[4:])] != "" && (app == 0 || s.known[app] != "")
}

// isName reports whether a number has a name of a kind.
func (s *salvager) isName(kind byte, number []byte) bool {
	name := s.known[binary.BigEndian.Uint32(number)]
	return name != "" && name[0] == kind
}

// known reports whether all numbers of a batch's uses have names.
func (r *batchRow) known(names map[uint32]string) bool {
	for _, u := range r.uses {
		if u.isEnd() {
			continue
		}
		if names[u.app] == "" {
			return false
		}
		for _, s := range u.shares {
			if names[s.metric] == "" {
				return false
			}
		}
	}
	return true
}

func (s *salvager) add(bucket, key, value []byte) error {
	s.pending, s.buckets = append(s.pending, element{key: key, value: value}), append(s.buckets, string(bucket))
	if s.size += len(key) + len(value); len(s.pending) < salvageRows && s.size < salvageBytes {
		return nil
	}
	return s.flush()
}

func (s *salvager) flush() error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		for i, e := range s.pending {
			b, err := tx.CreateBucketIfNotExists([]byte(s.buckets[i]))
			if err != nil {
				return err
			}
			b.FillPercent = 0.9 // mostly in order
			if err := b.Put(e.key, e.value); err != nil {
				return err
			}
		}
		return nil
	})
	s.pending, s.buckets, s.size = s.pending[:0], s.buckets[:0], 0
	return err
}

// end writes the state, and syncs the file.
func (s *salvager) end() error {
	if err := s.flush(); err != nil {
		return err
	}
	most := s.in.state.numbers
	for number := range s.numbers {
		if s.known[number] != "" {
			most = max(most, uint64(number))
		}
	}
	err := s.db.Update(func(tx *bbolt.Tx) error {
		if err := tx.Bucket(bucketNumbers).SetSequence(most); err != nil {
			return err
		}
		s.in.state.missed, s.in.state.sealed, s.in.state.evidence = true, true, s.evidence
		return s.in.state.write(tx)
	})
	if err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return s.db.Sync()
}
