package backoff

import (
	"context"
	"math"
	"testing"
	"testing/quick"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func most(d time.Duration) time.Duration { return d }

func TestCeiling(t *testing.T) {
	p := Policy{Base: 250 * time.Millisecond, Max: 30 * time.Second}
	for n, want := range map[int]time.Duration{0: p.Base, 1: p.Base, 2: 2 * p.Base, 7: 16 * time.Second, 8: p.Max, 1 << 30: p.Max} {
		assert.Equal(t, want, p.Ceiling(n), n)
	}
	assert.Equal(t, time.Minute, Policy{Base: time.Minute}.Ceiling(5), "no maximum: it does not grow")
	assert.Zero(t, Policy{}.Ceiling(5))
	assert.Equal(t, time.Duration(math.MaxInt64), Policy{Base: 1, Max: math.MaxInt64}.Ceiling(1000), "no overflow")
}

func TestDelay(t *testing.T) {
	p := Policy{Base: time.Second, Max: time.Minute, MaxFloor: 10 * time.Minute}
	assert.Equal(t, 4*time.Second, p.Delay(3, 0))
	assert.Equal(t, 5*time.Second, p.Delay(3, 5*time.Second))
	assert.Equal(t, 4*time.Second, p.Delay(3, time.Second), "the floor is below")
	assert.Equal(t, 10*time.Minute, p.Delay(3, 24*time.Hour), "a server that asks for a day is not obeyed")

	p.Jitter, p.Random = 1, most
	assert.Zero(t, p.Delay(3, 0))
	assert.Equal(t, 6*time.Second, p.Delay(3, 5*time.Second), "clients told one moment do not all come at it")
	p.Jitter = 0.25
	assert.Equal(t, 3*time.Second, p.Delay(3, 0))
}

// TestBounds: for every policy, a delay is between the floor and the larger of ceiling and floor with its jitter.
func TestBounds(t *testing.T) {
	require.NoError(t, quick.Check(func(base, top, floor uint32, n uint16, jitter uint8) bool {
		p := Policy{Base: time.Duration(base), Max: time.Duration(top), Jitter: float64(jitter) / 255}
		low, d := time.Duration(floor), p.Delay(int(n), time.Duration(floor))
		return d >= low && d <= max(p.Ceiling(int(n)), low+max(low/10, p.Base))
	}, nil))
}

func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := Backoff{Policy: Policy{Base: time.Second, Max: 3 * time.Second}}
		begun := time.Now()
		for range 3 {
			assert.True(t, b.Wait(t.Context(), 0))
		}
		assert.Equal(t, 6*time.Second, time.Since(begun))
		assert.Equal(t, 3, b.Failures())
		b.Reset()
		assert.Equal(t, time.Second, b.Next(0))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun = time.Now()
		assert.False(t, b.Wait(ctx, time.Hour))
		assert.Equal(t, time.Second, time.Since(begun))
	})
}
