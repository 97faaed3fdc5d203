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
