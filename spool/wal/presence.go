package wal

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/reporterd/reporterd/spool/disk"
)

// ErrReplaced is wrapped by the error of Append, Ready and of every record while the data directory, a
// directory in it or its lock file is gone or is not the one that was opened. Nothing is accepted and nothing
// is sent until the same ones are back.
var ErrReplaced = errors.New("the data directory is not the one that was opened")

// Presence holds the directories and the lock file that were opened at the start and compares them with what
// their names stand for. All methods may be called concurrently; a nil one finds nothing wrong.
type Presence struct {
	held []disk.Held
	gone atomic.Pointer[error] // what the last look found; nil: nothing wrong
}

// NewPresence returns a presence that holds what was locked.
func NewPresence(held []disk.Held) *Presence { return &Presence{held: held} }

// Watch adds a name to what is looked at. It is for Open, before anything else runs.
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

// Err returns what the last look found: nil when everything was in its place.
func (p *Presence) Err() error {
	if p == nil {
		return nil
	}
	if gone := p.gone.Load(); gone != nil {
		return *gone
	}
	return nil
}

// Look compares now. It takes some microseconds. What cannot be compared counts as gone until it can: an
// event is rather refused than accepted into a directory that may not be there.
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
		p.gone.Store(&err)
		return err
	}
	p.gone.Store(nil)
	return nil
}

// Close gives the descriptors up, and with them the locks.
func (p *Presence) Close() (err error) {
	for _, held := range p.held {
		err = errors.Join(err, held.Close())
	}
	p.held = nil
	return err
}
