// Package backoff computes the pause after failures in a row: it doubles up to a maximum, and a part of it can be random, so that
// the clients of a server that comes back do not all retry at once.
package backoff

import (
	"context"
	"math/rand/v2"
	"time"
)

// Policy determines the pause. It has no state and is safe for concurrent use.
type Policy struct {
	Base time.Duration // the longest pause after the first failure
	Max  time.Duration // the longest pause; less than Base counts as Base

	// Jitter is the random fraction of a pause, from 0 (none: each pause is the ceiling) to 1 (full: from zero to the ceiling).
	Jitter float64

	// MaxFloor is the longest Retry-After that is respected; 0: no limit.
	MaxFloor time.Duration

	// Random returns a duration from 0 to d inclusive, for positive d; nil: uniformly distributed.
	Random func(d time.Duration) time.Duration
}

// Ceiling returns the longest pause after the nth failure in a row, n from 1.
func (p Policy) Ceiling(n int) time.Duration {
	most := max(p.Base, p.Max)
	d := p.Base
	for ; n > 1 && d > 0 && d < most; n-- {
		if d > most/2 {
			return most
		}
		d *= 2
	}
	return min(d, most)
}

// Delay returns the pause after the nth failure in a row, n from 1. It is never less than floor, a server's Retry-After, as far
// as MaxFloor allows; 0: none was sent. With jitter, a pause that is set by floor is longer by at most a tenth or Base.
func (p Policy) Delay(n int, floor time.Duration) time.Duration {
	d := p.Ceiling(n)
	d -= p.draw(time.Duration(min(max(p.Jitter, 0), 1) * float64(d)))
	if p.MaxFloor > 0 {
		floor = min(floor, p.MaxFloor)
	}
	if floor > 0 && d < floor {
		if d = floor; p.Jitter > 0 {
			d += p.draw(max(floor/10, p.Base))
		}
	}
	return d
}

func (p Policy) draw(d time.Duration) time.Duration {
	switch {
	case d <= 0:
		return 0
	case p.Random != nil:
		return p.Random(d)
	}
	return rand.N(d + 1)
}

// Backoff counts failures in a row. It is not safe for concurrent use. Its zero value with a Policy is ready.
type Backoff struct {
	Policy
	failures int
}

// Failures returns the number of failures in a row.
func (b *Backoff) Failures() int { return b.failures }

// Next counts a failure and returns the pause before the next attempt.
func (b *Backoff) Next(floor time.Duration) time.Duration {
	b.failures++
	return b.Delay(b.failures, floor)
}

// Reset ends the row of failures, after a success.
func (b *Backoff) Reset() { b.failures = 0 }

// Wait counts a failure and waits until the next attempt. It returns false if ctx ended first.
func (b *Backoff) Wait(ctx context.Context, floor time.Duration) bool {
	return Sleep(ctx, b.Next(floor))
}

// Sleep waits for d. It returns false if ctx ended first.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
