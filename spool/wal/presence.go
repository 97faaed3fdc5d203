package wal

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/reporterd/reporterd/spool/disk"
)

// ErrReplaced is wrapped by the error of Append, Ready and of every record while the data directory, a directory in it or its
// lock file is missing or is not the one that was opened. Until the same ones are back, no event is accepted and no report is
// sent.
var ErrReplaced = errors.New("the data directory is not the one that was opened")

// Presence holds the directories and the lock file that were opened at the start, and checks that their names still refer to
// them. All methods may be called concurrently; a nil Presence finds no problem.
type Presence struct {
	held    []disk.Held
	problem atomic.Pointer[error] // result of the last Look; nil: no problem
}

// NewPresence returns a Presence that holds the locked files.
func NewPresence(held []disk.Held) *Presence { return &Presence{held: held} }

// Watch adds names to check. It is for Open, before other goroutines run.
func (p *Presence) Watch(files disk.FS, names ...string) error {
	for _, name := range names {
		held, err := files.Hold(name)
		if err != nil {
			return fmt.Errorf("spool: data directory: %w", err)
		}
		p.held = append(p.held, held)
	}
	return nil
}

// Err returns the result of the last Look; nil: no problem.
func (p *Presence) Err() error {
	if p == nil {
		return nil
	}
	if gone := p.problem.Load(); gone != nil {
		return *gone
	}
	return nil
}

// Look checks all names now. It takes some microseconds. A name that cannot be checked counts as missing: it is better to refuse
// an event than to accept it into a directory that may be gone.
func (p *Presence) Look() error {
	if p == nil {
		return nil
	}
	for _, held := range p.held {
		err := held.Same()
		if err == nil {
			continue
		}
		if errors.Is(err, disk.ErrReplaced) {
			err = fmt.Errorf("spool: %w: %w", ErrReplaced, err)
		} else {
			err = fmt.Errorf("spool: cannot check the data directory: %w", err)
		}
		p.problem.Store(&err)
		return err
	}
	p.problem.Store(nil)
	return nil
}

// Close closes the descriptors, which releases the locks.
func (p *Presence) Close() (err error) {
	for _, held := range p.held {
		err = errors.Join(err, held.Close())
	}
	p.held = nil
	return err
}
