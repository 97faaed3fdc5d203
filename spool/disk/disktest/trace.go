package disktest

import (
	"fmt"
	"path"
)

// traced is how many operations a disk remembers.
const traced = 64

// trace is the last operations of a disk, for the message of a test that failed.
type trace struct {
	ring [traced]step
	n    int
}

// step is one operation.
type step struct {
	op   Op
	name string
	err  string
}

// add remembers an operation; reads are left out.
func (t *trace) add(op Op, name, err string) {
	if op&(Read|Free|Stat) != 0 && err == "" {
		return
	}
	t.ring[t.n%traced] = step{op, name, err}
	t.n++
}

// Trace returns the last operations, oldest first, as "write journal/00000000000000000001.seg" and,
// when a fault struck, its error.
func (d *Disk) Trace() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var lines []string
	for k := max(0, d.trace.n-traced); k < d.trace.n; k++ {
		s := d.trace.ring[k%traced]
		line := fmt.Sprintf("%v %s", s.op, path.Join(path.Base(path.Dir(s.name)), path.Base(s.name)))
		if s.err != "" {
			line += ": " + s.err
		}
		lines = append(lines, line)
	}
	return lines
}
