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
		dst = append(binary.AppendUvarint(dst, uint64(c.metric)), c.hour, flags)
		for _, v := range values {
			if flags&v.bit != 0 {
				dst = binary.AppendVarint(dst, v.value)
			}
		}
	}
	return dst
}

// eachCell calls each with every cell, in order. The cell is valid until each returns.
func eachCell(data []byte, each func(*cell)) error {
	var c cell // reused: each must not keep it
	for len(data) > 0 {
		metric, n := binary.Uvarint(data)
		if n <= 0 || len(data) < n+2 {
			return errCells
		}
		c = cell{metric: uint32(metric), hour: data[n]}
		flags := data[n+1]
		data = data[n+2:]
		for bit, value := byte(hasAccepted), 0; value < 6; bit, value = bit<<1, value+1 {
			if flags&bit == 0 {
				continue
			}
			v, n := binary.Varint(data)
			if n <= 0 {
				return errCells
			}
			data = data[n:]
			*c.figure(bit) = v
		}
		if flags&allDelivered != 0 {
			c.Delivered = c.Accepted
		}
		each(&c)
	}
	return nil
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

// merge adds changes to cells, and removes cells that are zero. Cells have to be sorted; changes are sorted here.
func merge(cells, changes []cell) []cell {
	slices.SortFunc(changes, func(a, b cell) int { return a.compare(&b) })
	out := make([]cell, 0, len(cells)+len(changes))
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
