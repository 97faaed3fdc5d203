package terminal

import (
	"encoding/json"
	"fmt"
	"io"
	"time"
)

// Options are where a Screen prints, and who reads there.
type Options struct {
	Out, Err io.Writer
	JSON     bool // results are JSON, one object a line
	Colour   bool // Out is a terminal that shows colours
	Person   bool // Err is a terminal: progress is drawn there
	Redraw   bool // Out is a terminal: Refresh begins a new picture on it
}

// Screen is where a command prints: results to Out; progress, notes and questions to a person on Err. A progress line is removed
// before anything else is printed. It is for one goroutine.
type Screen struct {
	o     Options
	shown time.Time // when the progress line changed last
	drawn bool      // a progress line is on Err
}

// NewScreen makes a Screen. It prints nothing.
func NewScreen(o Options) *Screen { return &Screen{o: o} }

// JSON reports whether results are JSON objects, one a line.
func (s *Screen) JSON() bool { return s.o.JSON }

// Person reports whether a person reads Err.
func (s *Screen) Person() bool { return s.o.Person }

// Out is where results go. Take the progress line away with Clear before writing to it.
func (s *Screen) Out() io.Writer { return s.o.Out }

// Printf prints text as it is; text from elsewhere goes through Clean first. A reader that went away ends the command by SIGPIPE.
func (s *Screen) Printf(format string, args ...any) {
	s.Clear()
	fmt.Fprintf(s.o.Out, format, args...)
}

// Refresh begins a new picture: it clears the terminal, or prints an empty line elsewhere.
func (s *Screen) Refresh() {
	switch s.Clear(); {
	case s.o.JSON:
	case s.o.Redraw:
		fmt.Fprint(s.o.Out, "\x1b[H\x1b[2J")
	default:
		fmt.Fprintln(s.o.Out)
	}
}

// Object prints one JSON object on a line.
func (s *Screen) Object(v any) error {
	s.Clear()
	return json.NewEncoder(s.o.Out).Encode(v)
}

// Tell prints a line or a question on Err.
func (s *Screen) Tell(format string, args ...any) {
	s.Clear()
	fmt.Fprintf(s.o.Err, format, args...)
}

// Colour is the colour of a word; the zero value is the terminal's own.
type Colour string

// The colours of states.
const (
	Green  Colour = "\x1b[32m"
	Yellow Colour = "\x1b[33m"
	Red    Colour = "\x1b[31m"

	plain = "\x1b[0m"
)

// Paint colours a word, where Out shows colours.
func (s *Screen) Paint(c Colour, word string) string {
	if !s.o.Colour {
		return word
	}
	return c.paint(word)
}

func (c Colour) paint(word string) string {
	if c == "" || word == "" {
		return word
	}
	return string(c) + word + plain
}

// Table makes a table on Out: see NewTable.
func (s *Screen) Table(headings ...string) *Table {
	s.Clear()
	t := NewTable(s.o.Out, headings...)
	t.colour = s.o.Colour
	return t
}

// Fields prints names and values below each other, a name and its value a line.
func (s *Screen) Fields(rows ...[2]string) {
	t := s.Table()
	for _, row := range rows {
		t.Row(row[0], row[1])
	}
	t.Flush()
}

// List prints what a command lists: a row of a table for each, or a JSON object.
type List struct {
	s        *Screen
	headings []string
	table    *Table // nil: JSON, or there is no row yet
	rows     int
}

// List begins a listing. Its End must be called before anything else is printed. Without a row it prints nothing, no headings
// either.
func (s *Screen) List(headings ...string) *List { return &List{s: s, headings: headings} }

// Add prints object with JSON, else a row of cells: see Table.Row.
func (l *List) Add(object any, cells ...any) error {
	l.rows++
	if l.s.o.JSON {
		return l.s.Object(object)
	}
	if l.table == nil {
		l.table = l.s.Table(l.headings...)
	}
	l.s.Clear()
	l.table.Row(cells...)
	return nil
}

// Rows is how many were added.
func (l *List) Rows() int { return l.rows }

// End prints the rows that were not printed yet.
func (l *List) End() {
	if l.table != nil {
		l.s.Clear()
		l.table.Flush()
	}
}

// None tells a person on Err that there is nothing to list.
func (s *Screen) None(what string) {
	if !s.o.JSON {
		s.Tell("no %s\n", what)
	}
}
