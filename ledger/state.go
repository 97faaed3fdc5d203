package ledger

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"go.etcd.io/bbolt"
)

var keyState = []byte("state")

const (
	stateVersion = 2

	// maxPlaces limits the places of the batch log in the state.
	maxPlaces = 16

	flagMissed = 1
	flagSealed = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errState says that the state is damaged: it is unknown what is booked.
var errState = fmt.Errorf("%w: the checksum of the ledger's state does not hold", errDamaged)

// logPlace is a place in the batch log, with the checksum of the frame before it.
type logPlace struct {
	next uint64
	sum  uint32
}

// state is the progress of the ledger, in one value of the database. Every booking writes it, in the same transaction.
type state struct {
	next     uint64     // the sequence number of the batch log to read next; 0: from its beginning
	evidence int64      // bytes of all evidence
	missed   bool       // some usage was not booked, or lost
	sealed   bool       // every value has a checksum: one without is damaged
	numbers  uint64     // how many names have numbers
	places   []logPlace // the latest places up to which was booked, the newest last
}

// readState reads the state. Databases of older versions keep it in three values.
func readState(tx *bbolt.Tx) (s state, err error) {
	meta := tx.Bucket(bucketMeta)
	data := meta.Get(keyState)
	if data != nil {
		return parseState(data)
	}
	if at := meta.Get(keyNext); len(at) == 8 {
		s.next = binary.BigEndian.Uint64(at)
	}
	if n := meta.Get(keyEvidence); len(n) == 8 {
		s.evidence = int64(binary.BigEndian.Uint64(n))
	}
	s.missed = meta.Get(keyMissed) != nil
	if k, _ := tx.Bucket(bucketDays).Cursor().First(); k != nil && s.next == 0 {
		return s, errState
	}
	s.sealed = s.next == 0 // it is new
	return s, nil
}

// write stores the state.
func (s *state) write(tx *bbolt.Tx) error {
	meta := tx.Bucket(bucketMeta)
	for _, old := range [][]byte{keyNext, keyMissed, keyEvidence} {
		if err := meta.Delete(old); err != nil {
			return err
		}
	}
	s.numbers = tx.Bucket(bucketNumbers).Sequence()
	return meta.Put(keyState, s.append(nil))
}

// append writes version, flags, next, evidence, numbers, the places, and a CRC32C of the key and all of that.
func (s *state) append(dst []byte) []byte {
	flags := byte(0)
	if s.missed {
		flags |= flagMissed
	}
	if s.sealed {
		flags |= flagSealed
	}
	dst = append(dst, stateVersion, flags)
	dst = binary.BigEndian.AppendUint64(dst, s.next)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.evidence))
	dst = binary.BigEndian.AppendUint64(dst, s.numbers)
	for _, m := range s.places {
		dst = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(dst, m.next), m.sum)
	}
	return binary.BigEndian.AppendUint32(dst, checksum(keyState, dst))
}

func parseState(data []byte) (s state, err error) {
	const head, size = 26, 12
	n := len(data) - 4
	if n < head || (n-head)%size != 0 || data[0] != stateVersion || binary.BigEndian.Uint32(data[n:]) != checksum(keyState, data[:n]) {
		return s, errState
	}
	s.missed, s.sealed = data[1]&flagMissed != 0, data[1]&flagSealed != 0
	s.next, s.evidence = binary.BigEndian.Uint64(data[2:]), int64(binary.BigEndian.Uint64(data[10:]))
	s.numbers = binary.BigEndian.Uint64(data[18:])
	for at := head; at < n; at += size {
		s.places = append(s.places, logPlace{binary.BigEndian.Uint64(data[at:]), binary.BigEndian.Uint32(data[at+8:])})
	}
	return s, nil
}

// advance sets the place, and adds it to the places.
func (s *state) advance(to logPlace) {
	s.next = to.next
	s.places = append(s.places, to)
	if len(s.places) > maxPlaces {
		s.places = s.places[len(s.places)-maxPlaces:]
	}
}

// checksum returns the CRC32C of a key and its value, so that a value under another key does not hold.
func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// evidence returns the bytes of all evidence.
func evidence(tx *bbolt.Tx) int64 {
	s, _ := readState(tx) // if the state does not hold, booking fails with that error
	return s.evidence
}

func addEvidence(tx *bbolt.Tx, change int64) error {
	s, err := readState(tx)
	if err != nil {
		return err
	}
	s.evidence = max(0, s.evidence+change)
	return s.write(tx)
}
