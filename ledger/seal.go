package ledger

import (
	"encoding/binary"
	"errors"
)

// sealByte is the first byte of a value with a checksum. Values of older versions begin with the number of a metric or a service,
// which is never 0.
const sealByte = 0

// sealBytes is by how much seal makes a value longer.
const sealBytes = 5

// errSum says that a value's checksum does not hold.
var errSum = errors.New("ledger: a checksum does not hold: the figures are damaged")

// seal appends a value for a key to dst: a zero byte, the value, and a CRC32C of key and value.
func seal(dst, key, value []byte) []byte {
	dst = append(append(dst, sealByte), value...)
	return binary.LittleEndian.AppendUint32(dst, checksum(key, value))
}

// unseal returns the value given to seal. If strict is false, a value of an older version is returned unchanged. A nil value
// stays nil.
func unseal(key, stored []byte, strict bool) ([]byte, error) {
	if stored == nil || !strict && (len(stored) == 0 || stored[0] != sealByte) {
		return stored, nil
	}
	n := len(stored) - 4
	if n < 1 || stored[0] != sealByte || binary.LittleEndian.Uint32(stored[n:]) != checksum(key, stored[1:n]) {
		return nil, errSum
	}
	return stored[1:n], nil
}
