package threescale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPeriodsAreCalendarPeriodsInUTC(t *testing.T) {
	const layout = "2006-01-02 15:04:05"
	for _, c := range []struct {
		period     Period
		at         string
		start, end string
	}{
		{Minute, "2026-11-21 19:37:05", "2026-11-21 19:37:00", "2026-11-21 19:38:00"},
		{Hour, "2026-11-21 19:37:05", "2026-11-21 19:00:00", "2026-11-21 20:00:00"},
		{Day, "2026-11-21 23:59:59", "2026-11-21 00:00:00", "2026-11-22 00:00:00"},
		{Week, "2026-11-21 19:37:05", "2026-11-16 00:00:00", "2026-11-23 00:00:00"},
		{Week, "2026-11-22 23:59:59", "2026-11-16 00:00:00", "2026-11-23 00:00:00"},
		{Week, "2026-11-23 00:00:00", "2026-11-23 00:00:00", "2026-11-30 00:00:00"},
		{Week, "2026-01-01 12:00:00", "2025-12-29 00:00:00", "2026-01-05 00:00:00"},
		{Month, "2024-02-29 12:00:00", "2024-02-01 00:00:00", "2024-03-01 00:00:00"},
		{Month, "2026-12-31 12:00:00", "2026-12-01 00:00:00", "2027-01-01 00:00:00"},
		{Year, "2026-12-31 12:00:00", "2026-01-01 00:00:00", "2027-01-01 00:00:00"},
	} {
		at, err := time.Parse(layout, c.at)
		require.NoError(t, err)
		at = at.In(time.FixedZone("far", 13*3600+1800))
		assert.Equal(t, c.start, c.period.Start(at).Format(layout), "%s of %s", c.period, c.at)
		assert.Equal(t, c.end, c.period.End(at).Format(layout), "%s of %s", c.period, c.at)
		assert.Equal(t, time.UTC, c.period.Start(at).Location())
	}
	assert.True(t, Eternity.Start(someday).IsZero())
	assert.True(t, Eternity.End(someday).IsZero())
}

func TestPeriodNames(t *testing.T) {
	for p := Eternity; p <= Minute; p++ {
		got, ok := ParsePeriod(p.String())
		assert.True(t, ok)
		assert.Equal(t, p, got)
	}
	_, ok := ParsePeriod("fortnight")
	assert.False(t, ok)
	assert.Equal(t, "unknown", Period(99).String())
}
