package test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

// The phases of a daemon in which its system calls fail. underLoad and whileDraining are two of them.
const atStart = "at start"

// The parts of a data directory of which the calls fail.
const (
	wholeDirectory = "all"         // every call of the process; at start, those about the data directory
	letterFiles    = "deadletters" // at start, the directory; later all calls, while usage becomes dead letters
)

// syscallCell is one cell of the matrix of failing system calls.
type syscallCell struct {
	call   string
	fault  string // an errno, or delay
	phase  string
	part   string // of the data directory
	killed bool   // SIGKILL while the calls fail; otherwise the daemon lives on, or is stopped
}

// String names the cell as a subtest.
func (c syscallCell) String() string {
	name := fmt.Sprintf("%s %s, %s, %s", c.call, c.fault, c.part, c.phase)
	if c.killed {
		name += ", killed"
	}
	return name
}

// how is the fault in strace's words. A call is interrupted every second time: interrupted always, it would never return,
// which is what a delay tests.
func (c syscallCell) how() string {
	switch c.fault {
	case "delay":
		return "delay_enter=100000" // microseconds
	case "EINTR":
		return "error=EINTR:when=1+2"
	default:
		return "error=" + c.fault
	}
}

// calls are the names of the call and of those that do the same elsewhere: a directory is synced with fsync.
func (c syscallCell) calls() string {
	switch c.call {
	case "fdatasync":
		return "fdatasync,fsync"
	case "renameat":
		return "renameat,renameat2"
	default:
		return c.call
	}
}

// writing reports whether nothing can become durable anywhere while the cell's fault lasts.
func (c syscallCell) writing() bool {
	return (c.call == "pwrite64" || c.call == "fdatasync") && c.part == wholeDirectory && c.fault != "EINTR" && c.fault != "delay"
}

// reading reports whether no batch can be read while the cell's fault lasts.
func (c syscallCell) reading() bool {
	return (c.call == "pread64" || c.call == "openat") && c.part == wholeDirectory && c.fault != "EINTR" && c.fault != "delay"
}

// syscallRule says what of one call is tested. Left out is what cannot happen or would show nothing:
//
//   - an errno that the call's manual page does not list and that no file system returns for it;
//   - a file that the call never touches: the ledger is mapped, not read with pread64, except when it is opened;
//     directories are listed at start only, and only the ledger's file is mapped;
//   - one part of the directory where the call makes names that strace cannot know in advance (openat, fallocate,
//     renameat): there the fault hits every call of the process. At start all names are known;
//   - mmap of the whole process, since Go's runtime ends a process that gets no memory;
//   - accept4 at start and while draining: no client is served there;
//   - statfs while draining, which asks for no new space; pread64 of ids later than at start, and of the journal and unlinkat
//     in one part of the directory while draining: nothing is read or removed there then.
type syscallRule struct {
	call   string
	faults []string
	where  map[string][]string // phase → parts
}

func syscallRules() []syscallRule {
	logs := []string{"journal", "batches", "ids"}
	kept := append(slices.Clone(logs), "ledger", wholeDirectory)
	all, read := []string{wholeDirectory}, []string{"journal", "batches", wholeDirectory}
	running := append(slices.Clone(all), letterFiles)
	everywhere := func(parts []string) map[string][]string {
		return map[string][]string{atStart: parts, underLoad: parts, whileDraining: parts}
	}
	return []syscallRule{
		{"pread64", []string{"EIO", "EINTR", "delay"},
			map[string][]string{atStart: kept, underLoad: read, whileDraining: read[1:]}},
		{"openat", []string{"EIO", "ENOSPC", "EMFILE", "EACCES", "EROFS", "EINTR", "delay"},
			map[string][]string{atStart: append(slices.Clone(kept), letterFiles), underLoad: running, whileDraining: running}},
		{"fdatasync", []string{"EIO", "ENOSPC", "EINTR", "delay"},
			map[string][]string{atStart: kept, underLoad: append(slices.Clone(kept), letterFiles), whileDraining: kept}},
		{"pwrite64", []string{"EIO", "ENOSPC", "EROFS", "EINTR", "delay"},
			map[string][]string{atStart: kept, underLoad: append(slices.Clone(kept), letterFiles), whileDraining: kept}},
		{"fallocate", []string{"EIO", "ENOSPC", "EINTR", "delay"}, everywhere(all)},
		{"renameat", []string{"EIO", "ENOSPC", "EACCES", "EROFS", "delay"},
			map[string][]string{underLoad: running, whileDraining: running}},
		{"unlinkat", []string{"EIO", "EACCES", "EROFS", "delay"}, map[string][]string{atStart: read[1:], underLoad: read, whileDraining: all}},
		{"getdents64", []string{"EIO", "EACCES", "delay"}, map[string][]string{atStart: append(slices.Clone(logs), letterFiles, wholeDirectory)}},
		{"statfs", []string{"EIO", "EACCES", "EINTR", "delay"}, map[string][]string{atStart: all, underLoad: all}},
		{"mmap", []string{"ENOMEM", "EACCES", "delay"}, map[string][]string{atStart: {"ledger"}, underLoad: {"ledger"}}},
		{"accept4", []string{"EMFILE", "EINTR", "delay"}, map[string][]string{underLoad: all}},
	}
}

// syscallCells are all cells that the rules allow.
func syscallCells() (all []syscallCell) {
	for _, r := range syscallRules() {
		for _, fault := range r.faults {
			for _, phase := range []string{atStart, underLoad, whileDraining} {
				for _, part := range r.where[phase] {
					for _, killed := range []bool{false, true} {
						all = append(all, syscallCell{r.call, fault, phase, part, killed})
					}
				}
			}
		}
	}
	return all
}

// pairs are the combinations of two of the cell's properties.
func (c syscallCell) pairs() []string {
	killed := fmt.Sprint(c.killed)
	return []string{c.call + c.fault, c.call + c.phase, c.call + "/" + c.part, c.part + c.phase, c.phase + killed, c.part + killed}
}

// seenCells are those that lost acknowledged usage before an error of reading was told from damage.
var seenCells = []syscallCell{
	{"pread64", "EIO", atStart, "journal", false},
	{"pread64", "EIO", atStart, "batches", false},
	{"pread64", "EIO", underLoad, wholeDirectory, false},
	{"openat", "EMFILE", underLoad, wholeDirectory, false},
	{"openat", "EROFS", underLoad, wholeDirectory, true},
}

// pairwise picks seenCells, and then cells until each pair that occurs in any cell occurs in one of those picked, the cell
// with the most new pairs first.
func pairwise(all []syscallCell) (picked []syscallCell) {
	open := map[string]bool{}
	for _, c := range all {
		for _, p := range c.pairs() {
			open[p] = true
		}
	}
	picked = slices.Clone(seenCells)
	for _, c := range picked {
		for _, p := range c.pairs() {
			delete(open, p)
		}
	}
	for len(open) > 0 {
		best, most := 0, 0
		for i, c := range all {
			n := 0
			for _, p := range c.pairs() {
				if open[p] {
					n++
				}
			}
			if n > most {
				best, most = i, n
			}
		}
		picked = append(picked, all[best])
		for _, p := range all[best].pairs() {
			delete(open, p)
		}
	}
	return picked
}

// TestPairwise: every call meets each of its faults, its parts and its phases in the short form of the matrix, too.
func TestPairwise(t *testing.T) {
	all, short := syscallCells(), pairwise(syscallCells())
	t.Logf("%d cells, %d of them cover every pair", len(all), len(short))
	covered := map[string]bool{}
	for _, c := range short {
		for _, p := range c.pairs() {
			covered[p] = true
		}
	}
	for _, c := range all {
		for _, p := range c.pairs() {
			assert.True(t, covered[p], p)
		}
	}
	assert.Less(t, len(short), len(all)/5)
}
