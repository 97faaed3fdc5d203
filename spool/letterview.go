package spool

import (
	"context"
	"fmt"

	"github.com/reporterd/reporterd/spool/wal"
)

// Letters reads the dead letters of a directory, also while a daemon uses it. It takes no lock and changes
// nothing. Methods may be called concurrently.
type Letters struct{ spool *Spool }

// OpenLetters reads the batch log, to find the letters that the next start would remove: those of batches that have not ended,
// and those that were requeued. The files of the other letters are read on request, until ctx ends.
func OpenLetters(ctx context.Context, o InspectOptions) (*Letters, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	s, files := openReadOnly(ctx, o, "batches")
	defer func() { _ = files.Close() }()
	b, l := s.batches, s.letters
	if err := b.log.Open(0, &wal.Findings{}, b.replay); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("spool: dead letters: %w", err)
	}
	b.index.dropStaged()
	l.foreign = true
	l.live = func(id BatchID) bool { return b.index.isStale(id) }
	for _, letter := range b.index.requeuedLetters() {
		l.locked[letter] = true
	}
	return &Letters{spool: s}, nil
}

// DeadLetters is Spool.DeadLetters.
func (l *Letters) DeadLetters(q DeadLetterQuery) (page []DeadLetter, next string, err error) {
	return l.spool.DeadLetters(q)
}

// DeadLetter is Spool.DeadLetter.
func (l *Letters) DeadLetter(id string) (DeadLetter, error) { return l.spool.DeadLetter(id) }
