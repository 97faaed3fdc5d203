package test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pollEvery is how often a condition is looked at again: often enough not to be felt, seldom enough to
// leave the cores to the daemon.
const pollEvery = 10 * time.Millisecond

// eventually returns as soon as cond holds, and ends the test when it does not within the given time.
func eventually(t testing.TB, within time.Duration, what string, cond func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	require.True(t, poll(ctx, cond), "not within %v: %s", within, what)
}

// poll reports whether cond came true before ctx ended. A cond that takes long is asked less often, so that waiting takes a fifth
// of a core at most: the other tests need it.
func poll(ctx context.Context, cond func() bool) bool {
	for {
		begun := time.Now()
		if cond() {
			return true
		}
		timer := time.NewTimer(max(pollEvery, 4*time.Since(begun)))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
	}
}

// pause lets a life go on for a while before it is ended. It synchronizes nothing: what a test waits
// for, it polls.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
