package terminal

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// A long cell moves the columns behind it in every row, and no cell can control the terminal or start a column.
func TestTable(t *testing.T) {
	var out strings.Builder
	table := NewTable(&out, "ID", "REASON")
	long := strings.Repeat("x", 64)
	table.Row(long, "a")
	table.Row("1", "b\t\x1b[2J\nc")
	table.Flush()
	assert.Equal(t, "ID"+strings.Repeat(" ", 64)+"REASON\n"+long+"  a\n1"+strings.Repeat(" ", 65)+"b��[2J�c\n", out.String())
}

// A table prints as it goes, so that its memory is bounded.
func TestTablePrintsAsItGoes(t *testing.T) {
	var out strings.Builder
	table := NewTable(&out)
	for range tableRows {
		assert.Empty(t, out.String())
		table.Row("x", "y")
	}
	assert.Equal(t, tableRows, strings.Count(out.String(), "\n"))
}

// Numbers are set to the right below their heading, a colour takes no width, and no line ends in blanks.
func TestColumns(t *testing.T) {
	var out strings.Builder
	s := NewScreen(Options{Out: &out, Err: &out, Colour: true})
	table := s.Table("STATE", "EVENTS", "WHY")
	table.Row(Cell{"held", Red}, 12, "x")
	table.Row(Cell{"flowing", Green}, uint64(1234567), "")
	table.Flush()
	assert.Equal(t, "STATE     EVENTS  WHY\n\x1b[31mheld\x1b[0m          12  x\n\x1b[32mflowing\x1b[0m  1234567\n", out.String())
}

// A listing is a table for people and objects for programs.
func TestList(t *testing.T) {
	for _, json := range []bool{true, false} {
		var out strings.Builder
		list := NewScreen(Options{Out: &out, JSON: json}).List("ID")
		assert.NoError(t, list.Add(map[string]int{"id": 7}, 7))
		list.End()
		assert.Equal(t, map[bool]string{true: "{\"id\":7}\n", false: "ID\n 7\n"}[json], out.String())
	}
}

// A progress line is drawn for a person alone, and is gone before a result is printed.
func TestProgress(t *testing.T) {
	for _, person := range []bool{true, false} {
		var out, err strings.Builder
		s := NewScreen(Options{Out: &out, Err: &err, Person: person})
		s.Progress("reading", 7, 0)
		assert.Empty(t, err.String())
		s.Progress("reading", 15, 30)
		assert.Equal(t, person, strings.Contains(err.String(), "reading [###############...............]  50%"))
		s.Printf("done\n")
		assert.Equal(t, person, strings.HasSuffix(err.String(), "\r\x1b[K"))
		assert.Equal(t, "done\n", out.String())
	}
}

func TestTime(t *testing.T) {
	assert.Equal(t, "-", Time(time.Time{}))
	assert.Equal(t, "-", Time(time.Unix(0, 0)))
	assert.Equal(t, "2026-11-30T04:00:00Z", Time(time.Date(2026, 11, 30, 5, 0, 0, 0, time.FixedZone("", 3600))))
}

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536: "1.5 KiB", 1 << 60: "1.0 EiB"} {
		assert.Equal(t, want, Size(n))
	}
}
