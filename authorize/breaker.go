package authorize

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/authorize/quota"
)

const (
	breakAfter  = 5                // failures in a row
	hangAfter   = 2                // failures in a row, the last of which took all its time: every caller waits as long
	breakBase   = time.Second      // the first rest, doubled with every failure after it
	breakMax    = 30 * time.Second // the longest
	breakSpread = 5                // a fifth of a rest is left to chance
)

// breaker stops the questions about a service that the backend does not answer: after breakAfter failures in a row, or hangAfter
// where they are timeouts, it is open for a while, and then lets one question through at a time.
type breaker struct {
	failed atomic.Bool // whether there were failures; without any, no lock is taken

	mu       sync.Mutex // guards what follows
	failures int        // in a row
	until    time.Time  // of the rest
	trying   bool       // one call is under way
}

// allow reports whether the backend may be asked. A caller that is allowed must call report.
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

// open reports whether no question is let through at the moment.
func (b *breaker) open(now time.Time) bool {
	if !b.failed.Load() {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.failures >= breakAfter && (now.Before(b.until) || b.trying)
}

// result is how asking went.
type result uint8

const (
	answered result = iota
	failed          // no answer of the backend's own
	hung            // none until the timeout
)

// resultOf is the result of a failed question.
func resultOf(err error) result {
	if timeout := net.Error(nil); errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		return hung
	}
	return failed
}

// report notes how asking went, and reports whether the breaker opened or closed by it.
func (b *breaker) report(r result, now time.Time) (turned bool) {
	ok := r == answered
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
	before := b.failures
	b.failures++
	if r == hung && b.failures >= hangAfter {
		b.failures = max(b.failures, breakAfter)
	}
	b.failed.Store(true)
	if b.failures < breakAfter {
		return false
	}
	rest := min(breakBase<<min(b.failures-breakAfter, 10), breakMax)
	b.until = now.Add(rest - rand.N(rest/breakSpread+1))
	return before < breakAfter
}

const maxBreakers = 10_000

// breakers holds a breaker for each service that was asked about.
type breakers struct {
	mu        sync.RWMutex // guards byService
	byService map[quota.ID]*breaker
}

// of returns the breaker of a service, a new one if there is none. When there are too many, those without failures are
// forgotten; if there is still no room, the new one is not kept.
func (b *breakers) of(id quota.ID) *breaker {
	b.mu.RLock()
	found := b.byService[id]
	b.mu.RUnlock()
	if found != nil {
		return found
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if found = b.byService[id]; found != nil {
		return found
	}
	if len(b.byService) >= maxBreakers {
		for id, one := range b.byService {
			if !one.failed.Load() {
				delete(b.byService, id)
			}
		}
	}
	found = new(breaker)
	if len(b.byService) < maxBreakers {
		b.byService[id] = found
	}
	return found
}
