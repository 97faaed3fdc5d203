package authorize

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

const (
	breakAfter  = 5                // failures in a row
	breakBase   = time.Second      // the first rest, doubled with every failure after it
	breakMax    = 30 * time.Second // the longest
	breakSpread = 5                // a fifth of a rest is left to chance
)

// breaker keeps a service whose backend does not answer from being asked by everybody: after a few
// failures in a row it rests, and then lets one call through at a time.
type breaker struct {
	failed atomic.Bool // whether there is anything to look up; so that good times take no lock

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	until    time.Time  // of the rest
	trying   bool       // one call is under way
}

// allow reports whether the backend may be asked. Whoever is allowed reports back.
func (b *breaker) allow(now time.Time) bool {
	if !b.failed.Load() {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.failures < breakAfter {
		return true
	}
	if now.Before(b.until) || b.trying {
		return false
	}
	b.trying = true
	return true
}

// open reports whether nobody is let through at the moment.
func (b *breaker) open(now time.Time) bool {
	if !b.failed.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures >= breakAfter && (now.Before(b.until) || b.trying)
}

// report notes how asking went, and reports whether the breaker opened or closed by it.
func (b *breaker) report(ok bool, now time.Time) (turned bool) {
	if ok && !b.failed.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	if ok {
		turned = b.failures >= breakAfter
		b.failures = 0
		b.failed.Store(false)
		return turned
	}
	b.failures++
	b.failed.Store(true)
	if b.failures < breakAfter {
		return false
	}
	rest := min(breakBase<<min(b.failures-breakAfter, 10), breakMax)
	b.until = now.Add(rest - rand.N(rest/breakSpread+1))
	return b.failures == breakAfter
}
