package spool

import (
	"context"
	"fmt"

	"github.com/reporterd/reporterd/spool/wal"
)

// Letters reads the dead letters of a directory, also while a daemon uses it. It takes no lock and changes
// nothing. Methods may be called concurrently.
type Letters struct{ spool *Spool }

// OpenLetters reads the batch log, to know the letters that the next start would remove: those of ends that
// did not happen, and those that were requeued. The others' files are read when they are asked for, until ctx
// ends.
func OpenLetters(ctx context.Context, o InspectOptions) (*Letters, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	s, g := lookingAt(ctx, o, "batches")
	defer func() { _ = g.Close() }()
	b, l := s.batches, s.letters
	if err := b.log.Open(0, &wal.Findings{}, b.replay); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("spool: dead letters: %w", err)
	}
	b.index.dropStaged()
	l.live = func(id BatchID) bool { return b.index.isStale(id, "") }
	for _, letter := range b.index.requeuedLetters() {
		l.locked[letter] = true
	}
	return &Letters{spool: s}, nil
}

// DeadLetters is that of a Spool.
func (l *Letters) DeadLetters(q DeadLetterQuery) (page []DeadLetter, next string, err error) {
	return l.spool.DeadLetters(q)
}

// DeadLetter is that of a Spool.
func (l *Letters) DeadLetter(id string) (DeadLetter, error) { return l.spool.DeadLetter(id) }
