package spool

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/spool/disk"
)

// ErrReplaced is wrapped by the error of Append, Ready and of every record while the data directory, a
// directory in it or its lock file is gone or is not the one that was opened. Nothing is accepted and nothing
// is sent until the same ones are back.
var ErrReplaced = errors.New("the data directory is not the one that was opened")

// keepInterval is how often the directory is looked at and the manifest is synced: a bound for how long
// events are accepted into a directory that has been removed.
const keepInterval = time.Second

// Trouble is something that is wrong with an open directory, or that is not any more.
type Trouble struct {
	What string // TroubleDirectory or TroubleManifest
	Err  error  // nil: it is over
}

// What Trouble can be about.
const (
	TroubleDirectory = "directory" // it was removed or replaced: nothing is accepted
	TroubleManifest  = "manifest"  // it cannot be written: nothing else is affected
)

// presence holds the directories and the lock file that were opened at the start and compares them with what
// their names stand for. All methods may be called concurrently; a nil one finds nothing wrong.
type presence struct {
	held []disk.Held
	gone atomic.Pointer[error] // what the last look found; nil: nothing wrong
}

// watch adds a name to what is looked at. It is for Open, before anything else runs.
func (p *presence) watch(files disk.FS, names ...string) error {
	for _, name := range names {
		held, err := files.Hold(name)
		if err != nil {
			return fmt.Errorf("spool: data directory: %w", err)
		}
		p.held = append(p.held, held)
	}
	return nil
}

// err returns what the last look found: nil when everything was in its place.
func (p *presence) err() error {
	if p == nil {
		return nil
	}
	if gone := p.gone.Load(); gone != nil {
		return *gone
	}
	return nil
}

// look compares now. It takes some microseconds. What cannot be compared counts as gone until it can: an
// event is rather refused than accepted into a directory that may not be there.
func (p *presence) look() error {
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

// close gives the descriptors up, and with them the locks.
func (p *presence) close() (err error) {
	for _, held := range p.held {
		err = errors.Join(err, held.Close())
	}
	p.held = nil
	return err
}

// keep looks at the directory and syncs the manifest, until ctx ends, and tells of trouble once when it
// begins and once when it ends.
func (s *Spool) keep(ctx context.Context, tell func(Trouble)) {
	tick := time.NewTicker(keepInterval)
	defer tick.Stop()
	var absent, unkept bool
	report := func(what string, was *bool, err error) {
		if tell != nil && (err != nil) != *was {
			tell(Trouble{What: what, Err: err})
		}
		*was = err != nil
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := s.presence.look()
		report(TroubleDirectory, &absent, err)
		if err == nil { // else its files may be in another directory
			s.manifest.sync()
			report(TroubleManifest, &unkept, s.manifest.trouble())
		}
	}
}

// startKeeping begins to keep the directory; Close ends it.
func (s *Spool) startKeeping(tell func(Trouble)) {
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.keep(ctx, tell)
	}()
	s.stopKeeping = func() { end(); <-done }
}

// watchAll holds the directories of the spool.
func (s *Spool) watchAll() error {
	names := []string{s.dir}
	for _, dir := range []string{"journal", "batches", "ids", lettersDir, quarantineDir} {
		names = append(names, filepath.Join(s.dir, dir))
	}
	return s.presence.watch(s.fs, names...)
}
