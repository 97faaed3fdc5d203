package sender

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestBackoffDoublesUpToItsMaximum(t *testing.T) {
	b := backoff{Base: 250 * time.Millisecond, Max: time.Minute}
	for n, want := range map[int]time.Duration{
		1: 250 * time.Millisecond, 2: 500 * time.Millisecond, 3: time.Second, 8: 32 * time.Second,
		9: time.Minute, 10: time.Minute, 1_000_000: time.Minute,
	} {
		assert.Equal(t, want, b.ceiling(n), "failure %d", n)
	}
}

func TestDelayStaysWithinItsBounds(t *testing.T) {
	b := backoff{Base: 250 * time.Millisecond, Max: time.Minute}
	for _, test := range []struct {
		name        string
		failures    int
		floor       time.Duration
		least, most time.Duration
	}{
		{"first failure", 1, 0, 0, 250 * time.Millisecond},
		{"after many", 100, 0, 0, time.Minute},
		{"told to wait", 1, 30 * time.Second, 30 * time.Second, 33 * time.Second},
		{"told to wait less than it would", 100, time.Second, time.Second, time.Minute},
		{"told to wait a day", 1, 24 * time.Hour, 10 * time.Minute, 11 * time.Minute},
		{"told to wait less than nothing", 1, -time.Second, 0, 250 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			for range 1000 {
				d := b.delay(test.failures, test.floor)
				assert.GreaterOrEqual(t, d, test.least)
				assert.LessOrEqual(t, d, test.most)
			}
		})
	}
}

func TestDelayIsSpread(t *testing.T) {
	b := backoff{Base: time.Second, Max: time.Minute}
	low, high := time.Hour, time.Duration(0)
	for range 1000 {
		d := b.delay(6, 0)
		low, high = min(low, d), max(high, d)
	}
	assert.Less(t, low, 3*time.Second)
	assert.Greater(t, high, 29*time.Second)
}

func TestSlowPollsAreSpreadAroundTheirPeriod(t *testing.T) {
	for range 1000 {
		d := around(30 * time.Second)
		assert.GreaterOrEqual(t, d, 24*time.Second)
		assert.LessOrEqual(t, d, 36*time.Second)
	}
}
