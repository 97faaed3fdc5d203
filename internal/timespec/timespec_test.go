package timespec

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	z, err := time.LoadLocation(name)
	require.NoError(t, err)
	return z
}

func TestDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "90m": 90 * time.Minute, "12h": 12 * time.Hour, "7d": 7 * day, "4w": 28 * day, "1d12h": 36 * time.Hour,
		"1.5h": 90 * time.Minute, "500ms": 500 * time.Millisecond, "1y": 365 * day, "-5m": -5 * time.Minute, "250us": 250 * time.Microsecond,
	} {
		got, err := Duration(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "7", "d", "1.5d", "7 d", "-7d", "seven", "12h1d", "9999999w", "7D"} {
		_, err := Duration(text)
		assert.Error(t, err, text)
	}
}

func TestAt(t *testing.T) {
	madrid := zone(t, "Europe/Madrid")
	now := time.Date(2026, 3, 30, 10, 20, 30, 0, madrid) // a Monday, one day after the clock was put forward
	for text, want := range map[string]string{
		"2026-02-01T10:00:00Z":      "2026-02-01T10:00:00Z",
		"2026-02-01T10:00:00-03:00": "2026-02-01T10:00:00-03:00",
		"2026-02-01":                "2026-02-01T00:00:00+01:00",
		"1769940000":                "2026-02-01T11:00:00+01:00",
		"0":                         "1970-01-01T01:00:00+01:00",
		"90m":                       "2026-03-30T08:50:30+02:00",
		"7d":                        "2026-03-23T10:20:30+01:00",
		"168h":                      "2026-03-23T09:20:30+01:00",
		"4w":                        "2026-03-02T10:20:30+01:00",
		"1d12h":                     "2026-03-28T21:20:30+01:00",
		"now":                       "2026-03-30T10:20:30+02:00",
		"now-30d":                   "2026-02-28T10:20:30+01:00",
		"now-30d/d":                 "2026-02-28T00:00:00+01:00",
		"now/h":                     "2026-03-30T10:00:00+02:00",
		"now/w":                     "2026-03-30T00:00:00+02:00",
		"now-1d/w":                  "2026-03-23T00:00:00+01:00",
		"now/M":                     "2026-03-01T00:00:00+01:00",
		"today":                     "2026-03-30T00:00:00+02:00",
		"yesterday":                 "2026-03-29T00:00:00+01:00",
		"month":                     "2026-03-01T00:00:00+01:00",
	} {
		got, err := At(text, now.UTC(), madrid)
		require.NoError(t, err, text)
		assert.Equal(t, want, got.Format(time.RFC3339), text)
	}
	for _, text := range []string{"", "7", "monday", "now+1d", "now-", "now-30", "now/", "now/x", "now-30d/dd", "nowhere", "-7d", "-5m", "2026-02-30", "2026-02-01T10:00:00"} {
		_, err := At(text, now, madrid)
		assert.Error(t, err, text)
	}
	_, err := At("1769940000000", now, madrid)
	assert.ErrorContains(t, err, "milliseconds")
	_, err = At("7", now, madrid)
	assert.ErrorIs(t, err, errNoUnit, "it would choose everything since 1970")
}

func TestIsRelative(t *testing.T) {
	for text, want := range map[string]bool{"90m": true, "7d": true, "now": true, "now-1d/d": true, "0": false, "1769940000": false, "2026-02-01": false, "today": false} {
		assert.Equal(t, want, IsRelative(text), text)
	}
}

// TestStartOfDay: midnights that do not exist, and one that is there twice.
func TestStartOfDay(t *testing.T) {
	for _, c := range []struct{ zone, day, want string }{
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T01:00:00-02:00"},
		{"Asia/Beirut", "2022-03-27", "2022-03-27T01:00:00+03:00"},
		{"America/Havana", "2026-11-01", "2026-11-01T00:00:00-04:00"},
		{"Asia/Kathmandu", "2026-02-01", "2026-02-01T00:00:00+05:45"},
	} {
		got, err := At(c.day, time.Now(), zone(t, c.zone))
		require.NoError(t, err)
		assert.Equal(t, c.want, got.Format(time.RFC3339), c.zone)
	}
}

// TestProperties draws moments and zones: a day's beginning is the first moment of that day, and the short forms say what the
// long ones do.
func TestProperties(t *testing.T) {
	var zones []*time.Location
	for _, name := range []string{"UTC", "Europe/Madrid", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "Australia/Lord_Howe", "Asia/Kathmandu", "Pacific/Auckland"} {
		zones = append(zones, zone(t, name))
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		z := zones[r.IntN(len(zones))]
		now := time.Unix(firstSecond+r.Int64N(1_900_000_000), 0).In(z)
		at := func(text string) time.Time {
			got, err := At(text, now, z)
			require.NoError(t, err, text)
			return got
		}
		context := fmt.Sprint(now, " ", z)
		today := at("today")
		require.Equal(t, now.Format(time.DateOnly), today.Format(time.DateOnly), context)
		require.NotEqual(t, now.Format(time.DateOnly), today.Add(-1).Format(time.DateOnly), context)
		require.True(t, !today.After(now) && now.Sub(today) <= 26*time.Hour, context)
		require.True(t, at("yesterday").Before(today), context)
		require.Equal(t, 1, at("month").Day(), context)

		n := r.IntN(400)
		require.Equal(t, at(fmt.Sprintf("now-%dd", n)), at(fmt.Sprintf("%dd", n)), context)
		require.Equal(t, today, at("now/d"), context)
		require.Equal(t, at(now.Format(time.DateOnly)), today, context)
		require.True(t, at(now.Format(time.RFC3339)).Equal(now), context)
		require.True(t, at(fmt.Sprint(now.Unix())).Equal(now), context)
		require.Equal(t, time.Duration(n)*time.Minute, now.Sub(at(fmt.Sprintf("%dm", n))), context)
	}
}

func FuzzAt(f *testing.F) {
	for _, text := range []string{"7d", "now-30d/d", "today", "1769940000", "2026-02-01", "1d12h"} {
		f.Add(text)
	}
	now := time.Date(2026, 3, 30, 10, 20, 30, 0, time.UTC)
	f.Fuzz(func(t *testing.T, text string) {
		at, err := At(text, now, time.UTC)
		if err == nil && IsRelative(text) && at.After(now) {
			t.Errorf("%q is %v", text, at)
		}
	})
}
