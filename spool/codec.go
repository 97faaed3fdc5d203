package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"unsafe"

	"github.com/reporterd/reporterd/event"
)

// errEncoding is the decoders' error for bytes whose checksum holds, but that do not follow the format. Only a bug or a forged
// file produces them.
var errEncoding = errors.New("does not follow the format")

// castagnoli is the polynomial of all checksums in the formats.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// zeros fills a head until its bytes are known.
var zeros [256]byte

// decoder reads the fields of a record. After the first missing field, all fields are zero and err is set. Strings are views into
// data.
type decoder struct {
	data   []byte
	err    error
	source func(event.Source) // called for source records between events; nil: they are skipped
}

func (d *decoder) fail() {
	d.data, d.err = nil, errEncoding
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.data)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.data = d.data[n:]
	return v
}

// number reads a uvarint that counts things of at least size bytes each in the rest of data. It fails if they do not fit, so the
// result is safe for an allocation.
func (d *decoder) number(size int) int {
	n := d.uvarint()
	if n > uint64(len(d.data)/size) {
		d.fail()
		return 0
	}
	return int(n)
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.data) {
		d.fail()
		return nil
	}
	b := d.data[:n]
	d.data = d.data[n:]
	return b
}

func (d *decoder) byte() byte {
	if len(d.data) == 0 {
		d.fail()
		return 0
	}
	b := d.data[0]
	d.data = d.data[1:]
	return b
}

func (d *decoder) uint32() uint32 {
	if b := d.bytes(4); b != nil {
		return binary.LittleEndian.Uint32(b)
	}
	return 0
}

func (d *decoder) uint64() uint64 {
	if b := d.bytes(8); b != nil {
		return binary.LittleEndian.Uint64(b)
	}
	return 0
}

// view reads a string without copying it.
func (d *decoder) view() string {
	b := d.bytes(d.number(1))
	if len(b) == 0 {
		return ""
	}
	return unsafe.String(&b[0], len(b))
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}
