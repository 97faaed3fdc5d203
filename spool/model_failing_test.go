package spool_test

import (
	"os"
	"strings"
	"sync"

	"github.com/reporterd/reporterd/spool/disk/disktest"
)

// failing makes the reads, opens and listings of a disk fail that has no faults of its own. Of a fault it knows
// what it is aimed at, the error, Skip and Times.
type failing struct {
	mu     sync.Mutex // guards faults
	faults []*disktest.Fault
}

func (a *failing) add(f disktest.Fault) (lift func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = append(a.faults, &f)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		f.Times = 0
	}
}

func (a *failing) heal() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.faults = nil
}

func (a *failing) strike(op disktest.Op, name string) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, f := range a.faults {
		switch {
		case f.On&op == 0 || f.Times == 0 || f.Err == nil || !strings.Contains(name, f.Name):
		case f.Skip > 0:
			f.Skip--
		default:
			f.Times--
			return &os.PathError{Op: op.String(), Path: name, Err: f.Err}
		}
	}
	return nil
}
