package spool

import "context"

// Letters reads the dead letters of a directory, also while a daemon uses it. It takes no lock and changes
// nothing. Methods may be called concurrently.
type Letters struct{ spool *Spool }

// OpenLetters returns the dead letters of a directory. Their files are read when they are asked for, until
// ctx ends.
func OpenLetters(ctx context.Context, o InspectOptions) (*Letters, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	s, _ := lookingAt(ctx, o)
	return &Letters{spool: s}, nil
}

// DeadLetters is that of a Spool.
func (l *Letters) DeadLetters(q DeadLetterQuery) (page []DeadLetter, next string, err error) {
	return l.spool.DeadLetters(q)
}

// DeadLetter is that of a Spool.
func (l *Letters) DeadLetter(id string) (DeadLetter, error) { return l.spool.DeadLetter(id) }
