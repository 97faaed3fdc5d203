package sender

import (
	"math/rand/v2"
	"time"
)

// maxFloor is the most that a Retry-After is believed. A proxy that asks for a day would cost what the
// backend no longer takes after one.
const maxFloor = 10 * time.Minute

// backoff spreads attempts after failures in a row: exponential, with full jitter. Base and Max are
// positive, and Max is at least Base.
type backoff struct {
	Base, Max time.Duration
}

// ceiling is the most to wait after the nth failure in a row, n from 1.
func (b backoff) ceiling(n int) time.Duration {
	d := b.Base
	for ; n > 1 && d < b.Max; n-- {
		d *= 2
	}
	return min(d, b.Max)
}

// delay draws how long to wait after the nth failure in a row: from nothing to the ceiling, but never
// less than floor, which is itself believed up to ten minutes. Above a floor there is still some jitter,
// so that lanes told to come back at one moment do not.
func (b backoff) delay(n int, floor time.Duration) time.Duration {
	d := jitter(b.ceiling(n))
	if floor = min(floor, maxFloor); floor > 0 && d < floor {
		d = floor + jitter(max(floor/10, b.Base))
	}
	return d
}

// around draws a duration between four and six fifths of d, for slow polls.
func around(d time.Duration) time.Duration {
	return d*4/5 + jitter(d*2/5)
}

// jitter draws from nothing to d, d included.
func jitter(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return rand.N(d + 1)
}
