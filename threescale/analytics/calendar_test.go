package analytics

import (
	"archive/zip"
	"net/url"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// zoneNames are all zones of the database that comes with Go.
func zoneNames(t *testing.T) (names []string) {
	//lint:ignore SA1019 the tests run where they were built, so this is the toolchain that built them
	all, err := zip.OpenReader(filepath.Join(runtime.GOROOT(), "lib", "time", "zoneinfo.zip"))
	if err != nil {
		t.Skipf("no database of time zones: %v", err)
	}
	defer func() { _ = all.Close() }() // opened for reading
	seen := map[uint32]bool{}          // by their contents: many have several names
	for _, f := range all.File {
		if !strings.HasSuffix(f.Name, "/") && !seen[f.CRC32] {
			seen[f.CRC32] = true
			names = append(names, f.Name)
		}
	}
	return names
}

// TestEveryZoneAndTransition: in all zones, around all changes of their clocks from 2000 to 2040, days begin with the
// first moment of their date; buckets of each length follow each other without a gap, and every moment is in one.
func TestEveryZoneAndTransition(t *testing.T) {
	names := zoneNames(t)
	require.Greater(t, len(names), 300)
	transitions := 0
	for n, name := range names {
		if testing.Short() && n%10 != 0 {
			continue
		}
		zone, err := time.LoadLocation(name)
		require.NoError(t, err)
		for at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).In(zone); ; {
			end := change(at)
			if end.IsZero() || end.Year() > 2040 {
				break
			}
			transitions++
			checkDays(t, name, end, zone)
			for _, g := range []Granularity{Hour, SixHours, Day, Month} {
				checkBuckets(t, name, &Span{Granularity: g, Zone: zone}, end)
			}
			at = end
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d zones, %d transitions", len(names), transitions)
}

// checkDays looks at the days around a change of the clocks.
func checkDays(t *testing.T, name string, change time.Time, zone *time.Location) {
	y, m, d := change.In(zone).Date()
	for n := -1; n <= 2; n++ {
		date := time.Date(y, m, d+n, 0, 0, 0, 0, time.UTC)
		begin := BeginningOfDay(y, m, d+n, zone)
		if clockOf(begin).Before(date) {
			t.Errorf("%s: %v begins at %v, on an earlier date", name, date, begin)
		}
		for _, ago := range []time.Duration{time.Second, 30 * time.Minute, time.Hour, 2 * time.Hour, 20 * time.Hour} {
			if !clockOf(begin.Add(-ago)).Before(date) {
				t.Errorf("%s: %v begins at %v, but had begun %v before", name, date, begin, ago)
			}
		}
	}
}

// checkBuckets looks at the buckets around a change of the clocks.
func checkBuckets(t *testing.T, name string, s *Span, change time.Time) {
	if s.Granularity == Hour && !(wholeHours(change.Add(-time.Second).In(s.Zone)) && wholeHours(change.In(s.Zone))) {
		return // refused: figures are kept by UTC hour
	}
	reach := 30 * time.Hour
	at := s.start(change.Add(-reach).In(s.Zone))
	for n := 0; at.Before(change.Add(reach)) && n < 200; n++ {
		next := s.next(at)
		if !next.After(at) {
			t.Errorf("%s by %s: %v, then %v", name, s.Granularity, at, next)
			return
		}
		for _, inside := range []time.Time{at, at.Add(next.Sub(at) / 2), next.Add(-time.Second)} {
			if got := s.start(inside); !got.Equal(at) {
				t.Errorf("%s by %s: %v is in the bucket from %v, not in that from %v", name, s.Granularity, inside, got, at)
			}
		}
		at = next
	}
}

// TestDaysWithoutMidnight: what is asked of a day whose midnight summer time skips is that day.
func TestDaysWithoutMidnight(t *testing.T) {
	for _, c := range []struct {
		zone, day string
		hours     int
	}{
		{"Atlantic/Azores", "2026-03-29", 23}, {"America/Santiago", "2026-09-06", 23}, {"Africa/Cairo", "2026-04-24", 23}, {"Asia/Beirut", "2026-03-29", 23},
		{"America/Santiago", "2026-04-04", 25}, {"America/Havana", "2026-11-01", 25}, {"Europe/Madrid", "2026-03-29", 23}, {"UTC", "2026-03-29", 24},
	} {
		for _, query := range []string{
			"period=day&since=" + c.day, "granularity=day&since=" + c.day + "&until=" + c.day, "period=day&granularity=day&since=" + c.day,
		} {
			params, err := url.ParseQuery(query + "&timezone=" + c.zone)
			require.NoError(t, err)
			s, err := ReadSpan(params, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC), false)
			require.NoError(t, err, "%s %s", c.zone, query)
			assert.Equal(t, c.day, s.Since.Format(time.DateOnly), "%s %s", c.zone, query)
			assert.Equal(t, c.day, s.Until.Format(time.DateOnly), "%s %s", c.zone, query)
			assert.Equal(t, time.Duration(c.hours)*time.Hour-time.Second, s.Until.Sub(s.Since), "%s %s", c.zone, query)
		}
	}
}
