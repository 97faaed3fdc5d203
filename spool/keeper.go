package spool

import (
	"context"
	"path/filepath"
	"time"

	"github.com/reporterd/reporterd/spool/wal"
)

// keepInterval is how often the directory is checked and the manifest synced. It limits how long events are accepted into a
// directory that was removed.
const keepInterval = time.Second

// learnLetters is how many files of dead letters are read in each interval after a start: some 20 ms of work.
const learnLetters = 500

// Trouble is a problem with an open directory that begins or ends.
type Trouble struct {
	What string // TroubleDirectory or TroubleManifest
	Err  error  // nil: it has ended
}

// What a Trouble is about.
const (
	TroubleDirectory = "directory" // it was removed or replaced: nothing is accepted
	TroubleManifest  = "manifest"  // it cannot be written; nothing else is affected
)

// keep checks the directory and syncs the manifest, until ctx ends. It reports a problem once when it begins and once when it
// ends.
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
		err := s.presence.Look()
		report(TroubleDirectory, &absent, err)
		if err == nil { // otherwise its files may be in another directory
			s.manifest.sync()
			report(TroubleManifest, &unkept, s.manifest.failure())
			s.letters.learnSome(learnLetters)
		}
	}
}

// startKeeping starts keep in a goroutine, which Close ends.
func (s *Spool) startKeeping(tell func(Trouble)) {
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.keep(ctx, tell)
	}()
	s.stopKeeping = func() { end(); <-done }
}

// watchAll makes presence watch the directories of the spool.
func (s *Spool) watchAll() error {
	names := []string{s.dir}
	for _, dir := range []string{"journal", "batches", "ids", lettersDir, wal.QuarantineDir} {
		names = append(names, filepath.Join(s.dir, dir))
	}
	return s.presence.Watch(s.fs, names...)
}
