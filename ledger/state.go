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

	// maxMarks bounds the places of the batch log that are remembered.
	maxMarks = 16

	flagMissed = 1
	flagSealed = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// errState is what a state is that does not hold: it is not known what is booked.
var errState = fmt.Errorf("%w: the record of what is booked does not hold", errDamaged)

// mark is a place in the batch log, with the checksum of the frame before it.
type mark struct {
	next uint64
	sum  uint32
}

// state is how far the ledger is, in one value of the database. It is written with every booking, in the same transaction.
type state struct {
	next     uint64 // where the batch log is to be read next; 0: from its beginning
	evidence int64  // bytes of all batches
	missed   bool   // something could not be booked, or was lost
	sealed   bool   // every value has a checksum: one without is damaged
	numbers  uint64 // how many numbers were given to names
	marks    []mark // the places up to which was booked lately, the newest last
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

// append writes version, flags, next, evidence, numbers, the marks, and a CRC32C of the key and all that.
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
	for _, m := range s.marks {
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
		s.marks = append(s.marks, mark{binary.BigEndian.Uint64(data[at:]), binary.BigEndian.Uint32(data[at+8:])})
	}
	return s, nil
}

// advance sets the place, and remembers the frame before it.
func (s *state) advance(to mark) {
	s.next = to.next
	s.marks = append(s.marks, to)
	if len(s.marks) > maxMarks {
		s.marks = s.marks[len(s.marks)-maxMarks:]
	}
}

// checksum is the CRC32C of a key and its value, so that a value under another key does not hold either.
func checksum(key, value []byte) uint32 {
	return crc32.Update(crc32.Checksum(key, castagnoli), castagnoli, value)
}

// evidence is how many bytes all batches take.
func evidence(tx *bbolt.Tx) int64 {
	s, _ := readState(tx) // where it does not hold, booking fails with that
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
