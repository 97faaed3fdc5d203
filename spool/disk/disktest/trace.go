package disktest

import (
	"fmt"
	"path"
)

// traced is how many operations a disk keeps.
const traced = 64

// trace contains the last operations of a disk, for the message of a failed test.
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

// add adds an operation, except reads.
func (t *trace) add(op Op, name, err string) {
	if op&(Read|Free|Stat) != 0 && err == "" {
		return
	}
	t.ring[t.n%traced] = step{op, name, err}
	t.n++
}

// Trace returns the last operations, oldest first, as "write journal/00000000000000000001.seg", followed by the error if a fault
// applied.
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
