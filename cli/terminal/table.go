package terminal

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"
)

// tableRows is how many rows are aligned together: a table of any length takes the memory of these.
const tableRows = 500

// columnGap is how many blanks are between two columns.
const columnGap = 2

// Cell is a cell with a colour. Other values are plain cells.
type Cell struct {
	Text   string
	Colour Colour
}

// Table prints rows in columns as wide as their widest cell, two blanks apart. Columns of numbers are set to the right. It is for
// one goroutine.
//
// text/tabwriter would count the bytes of a colour as width, and sets either all columns to the right or none.
type Table struct {
	w      io.Writer
	colour bool
	block  [][]tableCell // rows that were not printed yet
	widths []int         // of what was printed: a later block is not narrower, so that the columns of a long table stay
	right  []bool        // columns that hold numbers
}

type tableCell struct {
	text   string
	colour Colour
	number bool
}

// NewTable makes a table, with a first row of headings when there are any.
func NewTable(w io.Writer, headings ...string) *Table {
	t := &Table{w: w}
	if len(headings) > 0 {
		cells := make([]any, len(headings))
		for i, h := range headings {
			cells[i] = h
		}
		t.Row(cells...)
	}
	return t
}

// Row adds a row. A cell is a string, a Cell, a number, or a time.Time, which prints as Time does; text is cleaned: see Clean. A
// writer that fails is not noticed.
func (t *Table) Row(cells ...any) {
	line := make([]tableCell, len(cells))
	for i, cell := range cells {
		switch c := cell.(type) {
		case string:
			line[i] = tableCell{text: Clean(c)}
		case Cell:
			line[i] = tableCell{text: Clean(c.Text), colour: c.Colour}
		case time.Time:
			line[i] = tableCell{text: Time(c)}
		default:
			line[i] = tableCell{text: fmt.Sprint(c), number: true}
		}
	}
	t.block = append(t.block, line)
	if len(t.block) == tableRows {
		t.Flush()
	}
}

// Flush prints the rows that were not printed yet.
func (t *Table) Flush() {
	for _, row := range t.block {
		t.measure(row)
	}
	out := bufio.NewWriter(t.w)
	for _, row := range t.block {
		_, _ = out.WriteString(t.line(row) + "\n")
	}
	_ = out.Flush()
	t.block = t.block[:0]
}

func (t *Table) measure(row []tableCell) {
	for i, cell := range row {
		if i == len(t.widths) {
			t.widths, t.right = append(t.widths, 0), append(t.right, false)
		}
		t.widths[i] = max(t.widths[i], utf8.RuneCountInString(cell.text))
		t.right[i] = t.right[i] || cell.number
	}
}

func (t *Table) line(row []tableCell) string {
	var b strings.Builder
	blanks := 0 // owed: none are printed at the end of a line
	for i, cell := range row {
		fill := t.widths[i] - utf8.RuneCountInString(cell.text)
		if t.right[i] {
			blanks += fill
			fill = 0
		}
		if cell.text != "" {
			b.WriteString(strings.Repeat(" ", blanks))
			blanks = 0
			if t.colour {
				b.WriteString(cell.colour.paint(cell.text))
			} else {
				b.WriteString(cell.text)
			}
		}
		blanks += fill + columnGap
	}
	return b.String()
}
