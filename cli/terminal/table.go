package terminal

import (
	"io"
	"strings"
	"text/tabwriter"
)

// tableRows is how many rows are aligned together: a table of any length takes the memory of these.
const tableRows = 500

// Table prints rows in columns as wide as their widest cell, two blanks apart. It is for one goroutine.
type Table struct {
	w    *tabwriter.Writer
	rows int // since the last flush
}

// NewTable makes a table, with a first row of headings when there are any.
func NewTable(w io.Writer, headings ...string) *Table {
	t := &Table{w: tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)}
	if len(headings) > 0 {
		t.Row(headings...)
	}
	return t
}

// Row adds a row. Cells are cleaned: see Clean. A writer that fails is not noticed.
func (t *Table) Row(cells ...string) {
	line := make([]string, len(cells))
	for i, cell := range cells {
		line[i] = Clean(cell)
	}
	_, _ = io.WriteString(t.w, strings.Join(line, "\t")+"\n")
	if t.rows++; t.rows == tableRows {
		t.Flush()
	}
}

// Flush prints the rows that were not printed yet.
func (t *Table) Flush() {
	_ = t.w.Flush()
	t.rows = 0
}
