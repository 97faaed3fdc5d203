package ledger

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"slices"
)

// The format of a day file, integers big-endian:
//
//	head     "RDDAYS1\n", day since 1970 (4), transaction of ledger.db that it was made from (8), number of columns (4), CRC32C (4)
//	columns  for each service and metric, in their order: service (4), metric (4), offset (8) and length (4) of its data, CRC32C of
//	         the data (4), what all applications have together (9 times 8), CRC32C of the column (4)
//	data     for each application, in the order of their numbers: how much higher its number is than the one before, and its
//	         figures of the day, as a cell of ledger.db with the hour 0
const (
	dayMagic      = "RDDAYS1\n"
	dayHeadSize   = 28
	dayColumnSize = 100
	dayFigures    = 9
)

// errDayFile says that a day file cannot be used.
var errDayFile = errors.New("ledger: a file of a day is damaged")

// dayColumn is what applications of a service used of a metric on a day.
type dayColumn struct {
	service, metric uint32
	all             Figures
	offset          int64
	length, sum     uint32

	last uint32 // the application that was added last
	data []byte // while the column is made
}

func (c *dayColumn) compare(o *dayColumn) int {
	return cmp.Or(cmp.Compare(c.service, o.service), cmp.Compare(c.metric, o.metric))
}

// add adds an application, whose number is above that of the one before.
func (c *dayColumn) add(app uint32, f *Figures) {
	c.data = appendCells(c.data, []cell{{metric: app - c.last, Figures: *f}})
	c.last = app
	c.all.add(*f)
}

// stored are the figures that are kept in files.
func (f *Figures) stored() [dayFigures]*int64 {
	return [dayFigures]*int64{&f.Accepted, &f.Delivered, &f.Ambiguous, &f.Dead, &f.Restamped, &f.Lost, &f.Partial, &f.Double, &f.Unconfirmed}
}

// encodeDay returns the content of a day file. It sorts the columns.
func encodeDay(day uint32, made uint64, columns []*dayColumn) []byte {
	slices.SortFunc(columns, (*dayColumn).compare)
	out := binary.BigEndian.AppendUint32([]byte(dayMagic), day)
	out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(out, made), uint32(len(columns)))
	out = binary.BigEndian.AppendUint32(out, crc32.Checksum(out, castagnoli))
	offset := int64(dayHeadSize + len(columns)*dayColumnSize)
	for _, c := range columns {
		begin := len(out)
		out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(out, c.service), c.metric)
		out = binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(out, uint64(offset)), uint32(len(c.data)))
		out = binary.BigEndian.AppendUint32(out, crc32.Checksum(c.data, castagnoli))
		for _, v := range c.all.stored() {
			out = binary.BigEndian.AppendUint64(out, uint64(*v))
		}
		out = binary.BigEndian.AppendUint32(out, crc32.Checksum(out[begin:], castagnoli))
		offset += int64(len(c.data))
	}
	for _, c := range columns {
		out = append(out, c.data...)
	}
	return out
}

// dayReader reads a day file. Each part is checked by its checksum before it is used.
type dayReader struct {
	file    io.ReaderAt
	day     uint32
	made    uint64
	columns int
}

func readDay(file io.ReaderAt) (*dayReader, error) {
	head := make([]byte, dayHeadSize)
	if _, err := file.ReadAt(head, 0); err != nil {
		return nil, fmt.Errorf("%w: %w", errDayFile, err)
	}
	n := dayHeadSize - 4
	if !bytes.HasPrefix(head, []byte(dayMagic)) || binary.BigEndian.Uint32(head[n:]) != crc32.Checksum(head[:n], castagnoli) {
		return nil, errDayFile
	}
	return &dayReader{file, binary.BigEndian.Uint32(head[8:]), binary.BigEndian.Uint64(head[12:]), int(binary.BigEndian.Uint32(head[20:]))}, nil
}

// column reads the description of one column.
func (d *dayReader) column(i int) (*dayColumn, error) {
	data := make([]byte, dayColumnSize)
	if _, err := d.file.ReadAt(data, int64(dayHeadSize+i*dayColumnSize)); err != nil {
		return nil, fmt.Errorf("%w: %w", errDayFile, err)
	}
	n := dayColumnSize - 4
	if binary.BigEndian.Uint32(data[n:]) != crc32.Checksum(data[:n], castagnoli) {
		return nil, errDayFile
	}
	c := &dayColumn{
		service: binary.BigEndian.Uint32(data), metric: binary.BigEndian.Uint32(data[4:]), offset: int64(binary.BigEndian.Uint64(data[8:])),
		length: binary.BigEndian.Uint32(data[16:]), sum: binary.BigEndian.Uint32(data[20:]),
	}
	for i, v := range c.all.stored() {
		*v = int64(binary.BigEndian.Uint64(data[24+8*i:]))
	}
	return c, nil
}

// service returns the columns of a service.
func (d *dayReader) service(service uint32) (found []*dayColumn, err error) {
	low, high := 0, d.columns
	for low < high {
		middle := (low + high) / 2
		c, err := d.column(middle)
		if err != nil {
			return nil, err
		}
		if c.service < service {
			low = middle + 1
		} else {
			high = middle
		}
	}
	for ; low < d.columns; low++ {
		c, err := d.column(low)
		if err != nil || c.service != service {
			return found, err
		}
		found = append(found, c)
	}
	return found, nil
}

// load reads the data of a column.
func (d *dayReader) load(c *dayColumn) ([]byte, error) {
	data := make([]byte, c.length)
	if n, err := d.file.ReadAt(data, c.offset); n < len(data) {
		return nil, fmt.Errorf("%w: %w", errDayFile, err)
	}
	if crc32.Checksum(data, castagnoli) != c.sum {
		return nil, errDayFile
	}
	return data, nil
}

// addColumn adds the data of a column, whose checksum holds.
func (t *totals) addColumn(data []byte) error {
	const common = hasAccepted | allDelivered // what nearly every cell has
	one := cell{Figures: Figures{Accepted: 1, Delivered: 1}}
	times := one.named(t.figure)
	app := uint32(0)
	for len(data) > 0 {
		step, n := binary.Uvarint(data)
		if n > 0 && len(data) > n+2 && data[n+1] == common {
			value, m := binary.Varint(data[n+2:])
			if m <= 0 {
				return errDayFile
			}
			app, data = app+uint32(step), data[n+2+m:]
			t.reach(app)
			t.values[app] += times * value
			continue
		}
		rest, err := readCell(data, &one)
		if err != nil {
			return errDayFile
		}
		app, data = app+one.metric, rest
		t.add(app, &one.Figures)
	}
	return nil
}
