package test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	// faultsVariable turns the matrix on: 1 is the short form that covers every pair, full is every cell, and anything
	// else is the short form of the cells whose name contains it.
	faultsVariable = "REPORTERD_FAULTS"

	shortFault = 1500 * time.Millisecond // how long calls fail in the short form
	fullFault  = 4 * time.Second
)

// TestSyscallFaults makes system calls of the real daemon fail, or take long, for a while, at its start, under load and
// while it drains, and counts: where no byte was damaged, nothing that was acknowledged is lost.
func TestSyscallFaults(t *testing.T) {
	form := os.Getenv(faultsVariable)
	if form == "" {
		t.Skipf("failing system calls of the daemon: needs strace, %s=1 (a minute or two) or =full (make soak)", faultsVariable)
	}
	needStrace(t)
	t.Parallel() // it waits more than it works
	cells, during := pairwise(syscallCells()), shortFault
	if form != "1" {
		cells, during = syscallCells(), fullFault
	}
	if form != "1" && form != "full" {
		cells = slices.DeleteFunc(cells, func(c syscallCell) bool { return !strings.Contains(c.String(), form) })
	}
	begun, table := time.Now(), &faultTable{}
	t.Run("cells", func(t *testing.T) {
		for i, c := range cells {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				newFaultRun(t, c, during, uint64(i)).run(table)
			})
		}
	})
	t.Logf("%d cells in %v:\n%s", len(cells), time.Since(begun).Round(time.Second), table)
}

// faultRow is what one cell has to show.
type faultRow struct {
	name              string
	hits              int // calls that failed or were delayed
	lives             int // processes; those that could not start included
	acked             int
	doubted           int
	unready           bool // /readyz answered 503 while calls failed
	events            status
	problems          []string
	took              time.Duration
	ambiguous, excess uint64
}

// faultTable is all rows.
type faultTable struct {
	mu   sync.Mutex // guards rows
	rows []faultRow
}

func (f *faultTable) add(r faultRow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.rows = append(f.rows, r)
}

// String prints the rows by name, and their sum.
func (f *faultTable) String() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	slices.SortFunc(f.rows, func(a, b faultRow) int { return strings.Compare(a.name, b.name) })
	const head, line = "%-48s %6s %5s %7s %9s %5s %7s %5s %7s %6s %s\n", "%-48s %6d %5d %7d %9d %5d %7d %5d %7t %6.1f %s\n"
	var text strings.Builder
	fmt.Fprintf(&text, head, "cell", "hits", "lives", "acked", "delivered", "dead", "pending", "lost", "503", "s", "")
	var sum faultRow
	for _, r := range f.rows {
		e := r.events.Events
		fmt.Fprintf(&text, line, r.name, r.hits, r.lives, r.acked, e.Delivered, e.Dead, e.Pending, e.Lost, r.unready, r.took.Seconds(), strings.Join(r.problems[:min(1, len(r.problems))], ""))
		s := &sum.events.Events
		s.Delivered, s.Dead, s.Pending, s.Lost = s.Delivered+e.Delivered, s.Dead+e.Dead, s.Pending+e.Pending, s.Lost+e.Lost
		sum.hits, sum.lives, sum.acked, sum.took = sum.hits+r.hits, sum.lives+r.lives, sum.acked+r.acked, sum.took+r.took
		sum.doubted, sum.ambiguous, sum.excess = sum.doubted+r.doubted, sum.ambiguous+r.ambiguous, sum.excess+r.excess
	}
	e := sum.events.Events
	fmt.Fprintf(&text, "in all: %d cells, %d calls hit, %d lives; events: %d acknowledged, %d in doubt, %d delivered, %d dead, %d pending, %d lost; %d counted too often, %d called ambiguous",
		len(f.rows), sum.hits, sum.lives, sum.acked, sum.doubted, e.Delivered, e.Dead, e.Pending, e.Lost, sum.excess, sum.ambiguous)
	return text.String()
}
