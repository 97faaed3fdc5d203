package ledger

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// Figures count usage by outcome, in units of the metric.
type Figures struct {
	Accepted  int64
	Delivered int64
	Ambiguous int64
	Dead      int64
	Restamped int64
	Lost      int64

	// Of Delivered, what is in reports that 3scale did not count whole and once, as their receipts show: all usage of the report.
	Partial     int64
	Double      int64
	Unconfirmed int64

	// Sent is the part of Pending in reports that 3scale accepted and whose receipts have not moved yet. It is not stored.
	Sent int64
}

// Pending returns the usage that is neither delivered nor dead nor lost.
func (f Figures) Pending() int64 { return f.Accepted - f.Delivered - f.Dead - f.Lost }

func (f *Figures) add(o Figures) {
	f.Accepted += o.Accepted
	f.Delivered += o.Delivered
	f.Ambiguous += o.Ambiguous
	f.Dead += o.Dead
	f.Restamped += o.Restamped
	f.Lost += o.Lost
	f.Partial += o.Partial
	f.Double += o.Double
	f.Unconfirmed += o.Unconfirmed
	f.Sent += o.Sent
}

// times returns the figures multiplied by n.
func (f Figures) times(n int64) Figures {
	return Figures{
		Accepted: f.Accepted * n, Delivered: f.Delivered * n, Ambiguous: f.Ambiguous * n, Dead: f.Dead * n, Restamped: f.Restamped * n, Lost: f.Lost * n,
		Partial: f.Partial * n, Double: f.Double * n, Unconfirmed: f.Unconfirmed * n,
	}
}

// plus returns the sum.
func (f Figures) plus(o Figures) Figures {
	f.add(o)
	return f
}

// cell contains the figures of one metric in one hour of a day.
type cell struct {
	metric uint32
	hour   uint8
	Figures
}

func (c *cell) compare(o *cell) int {
	return cmp.Or(cmp.Compare(c.metric, o.metric), cmp.Compare(c.hour, o.hour))
}

// The bits of a cell's flags: which figures follow, as signed varints.
const (
	hasAccepted = 1 << iota
	hasDelivered
	hasAmbiguous
	hasDead
	hasRestamped
	hasLost
	allDelivered // the same as accepted; no value follows
	hasEnds      // a byte of flags for the figures of receipts follows, whose values come last
)

// The bits of the flags for the figures of receipts.
const (
	hasPartial = 1 << iota
	hasDouble
	hasUnconfirmed
)

var errCells = errors.New("ledger: damaged cells")

// appendCells writes cells, which have to be sorted.
func appendCells(dst []byte, cells []cell) []byte {
	for i := range cells {
		c := &cells[i]
		flags := byte(0)
		values := [...]struct {
			bit   byte
			value int64
		}{
			{hasAccepted, c.Accepted}, {hasDelivered, c.Delivered}, {hasAmbiguous, c.Ambiguous}, {hasDead, c.Dead}, {hasRestamped, c.Restamped}, {hasLost, c.Lost},
		}
		for _, v := range values {
			if v.value != 0 {
				flags |= v.bit
			}
		}
		if c.Delivered == c.Accepted && c.Delivered != 0 {
			flags = flags&^hasDelivered | allDelivered
		}
		ends := c.ends()
		if ends != 0 {
			flags |= hasEnds
		}
		dst = append(binary.AppendUvarint(dst, uint64(c.metric)), c.hour, flags)
		if ends != 0 {
			dst = append(dst, ends)
		}
		for _, v := range values {
			if flags&v.bit != 0 {
				dst = binary.AppendVarint(dst, v.value)
			}
		}
		for bit := byte(hasPartial); bit <= hasUnconfirmed; bit <<= 1 {
			if ends&bit != 0 {
				dst = binary.AppendVarint(dst, *c.endFigure(bit))
			}
		}
	}
	return dst
}

// ends are the flags for the figures of receipts.
func (c *cell) ends() (flags byte) {
	for bit := byte(hasPartial); bit <= hasUnconfirmed; bit <<= 1 {
		if *c.endFigure(bit) != 0 {
			flags |= bit
		}
	}
	return flags
}

func (c *cell) endFigure(bit byte) *int64 {
	switch bit {
	case hasPartial:
		return &c.Partial
	case hasDouble:
		return &c.Double
	default:
		return &c.Unconfirmed
	}
}

// eachCell calls each with every cell, in order. The cell is valid until each returns.
func eachCell(data []byte, each func(*cell)) (err error) {
	var c cell // reused: each must not keep it
	for len(data) > 0 {
		if data, err = readCell(data, &c); err != nil {
			return err
		}
		each(&c)
	}
	return nil
}

// readCell reads the first cell of data, and returns what comes after it.
func readCell(data []byte, c *cell) (rest []byte, err error) {
	metric, n := binary.Uvarint(data)
	if n <= 0 || len(data) < n+2 {
		return nil, errCells
	}
	*c = cell{metric: uint32(metric), hour: data[n]}
	flags, ends := data[n+1], byte(0)
	data = data[n+2:]
	if flags&hasEnds != 0 {
		if len(data) == 0 {
			return nil, errCells
		}
		ends, data = data[0], data[1:]
	}
	d := reader{data: data}
	for bit, value := byte(hasAccepted), 0; value < 6; bit, value = bit<<1, value+1 {
		if flags&bit != 0 {
			*c.figure(bit) = d.signed()
		}
	}
	for bit := byte(hasPartial); bit <= hasUnconfirmed; bit <<= 1 {
		if ends&bit != 0 {
			*c.endFigure(bit) = d.signed()
		}
	}
	if d.bad {
		return nil, errCells
	}
	if flags&allDelivered != 0 {
		c.Delivered = c.Accepted
	}
	return d.data, nil
}

func (c *cell) figure(bit byte) *int64 {
	switch bit {
	case hasAccepted:
		return &c.Accepted
	case hasDelivered:
		return &c.Delivered
	case hasAmbiguous:
		return &c.Ambiguous
	case hasDead:
		return &c.Dead
	case hasRestamped:
		return &c.Restamped
	default:
		return &c.Lost
	}
}

// merge appends cells with changes added to out, which is empty, without those that are zero. Cells have to be sorted; changes are
// sorted here.
func merge(out, cells, changes []cell) []cell {
	slices.SortFunc(changes, func(a, b cell) int { return a.compare(&b) })
	for len(cells) > 0 || len(changes) > 0 {
		var next cell
		switch {
		case len(changes) == 0 || len(cells) > 0 && cells[0].compare(&changes[0]) < 0:
			next, cells = cells[0], cells[1:]
		default:
			next, changes = changes[0], changes[1:]
			if len(cells) > 0 && cells[0].compare(&next) == 0 {
				next.add(cells[0].Figures)
				cells = cells[1:]
			}
		}
		if n := len(out); n > 0 && out[n-1].compare(&next) == 0 {
			out[n-1].add(next.Figures)
		} else {
			out = append(out, next)
		}
	}
	return slices.DeleteFunc(out, func(c cell) bool { return c.Figures == Figures{} })
}
