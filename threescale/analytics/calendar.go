package analytics

import "time"

// BeginningOfDay is when a day of a zone's calendar begins: the first moment at which the clocks there show its date, or a later
// one. That is after midnight where summer time skips midnight, the first of two where the hour behind midnight comes
// twice, and the beginning of the next day for a day that the zone left out. Month and day may lie outside their usual
// ranges, as for time.Date.
func BeginningOfDay(year int, month time.Month, day int, zone *time.Location) time.Time {
	return wall(time.Date(year, month, day, 0, 0, 0, 0, time.UTC), zone)
}

// mostAhead is more than any zone's clocks were ever ahead of UTC, a left out day included.
const mostAhead = 26 * time.Hour

// wall is the first moment at which the clocks of a zone show what clock, taken for a time without a zone, shows, or a
// later time.
func wall(clock time.Time, zone *time.Location) time.Time {
	at := clock.Add(-mostAhead).In(zone)
	for {
		_, offset := at.Zone()
		end := change(at)
		shown := clock.Add(-time.Duration(offset) * time.Second)
		switch {
		case !shown.After(at):
			return at
		case end.IsZero() || shown.Before(end):
			return shown.In(zone)
		}
		at = end // the clocks are changed before they show it
	}
}

// change is when the clocks of t's zone may be changed next, always later than t; zero: never. Time.ZoneBounds takes
// each year for one of 365 days where the zone's table has ended and its rule goes on, so that on the last day of a leap
// year the next change lies behind.
func change(t time.Time) time.Time {
	_, end := t.ZoneBounds()
	if !end.IsZero() && !end.After(t) {
		return t.Add(time.Hour)
	}
	return end
}

// clockOf is what the clocks of t's zone show, as a time without a zone.
func clockOf(t time.Time) time.Time {
	y, m, d := t.Date()
	return time.Date(y, m, d, t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}
