// Package timespec parses durations and points in time as people write them: on the command line, in a query and in the
// configuration, all with one grammar.
//
//	duration   90m, 12h, 7d, 4w, 1d12h, 1.5h, 500ms. A day has 24 hours, a week 7 days, a year 365
//	point      2026-02-01T10:00:00Z   RFC 3339
//	           2026-02-01             the beginning of a day of the zone
//	           1769940000             Unix seconds; milliseconds are refused
//	           90m, 7d                so long before now. Days and weeks are calendar days of the zone
//	           now, now-30d, now-7d/d the beginning of the day seven days ago; units: /h, /d, /w (Monday), /M (month), /Q, /y
//	           now-1M, now-1M/M       a calendar month ago; the beginning of that month
//	           today, yesterday       the beginning of that day
//	           week, month            the beginning of the week (Monday), of the calendar month; and quarter, year
//	           {date.add(-30).format()}  a date expression: methods of date, applied from left to right; see Expand. Without a
//	                                  pattern that has hours it is the beginning of a day
package timespec

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"
)

// Expected lists the forms of a point in time, for messages.
const Expected = "expected RFC 3339, a day, Unix seconds, how long ago (90m, 7d), now-30d/d, today, yesterday, week, month, or {date.add(-30).format()}"

const (
	day = 24 * time.Hour

	// firstMillisecond is the smallest number that counts as Unix milliseconds: as seconds it is the year 5138.
	firstMillisecond = 100_000_000_000

	// firstSecond is the smallest positive number that counts as Unix seconds, in 1973: a smaller one lacks its unit.
	firstSecond = 100_000_000
)

var (
	errMilliseconds = errors.New("expected Unix seconds, and this looks like milliseconds")
	errNoUnit       = errors.New("expected a unit, such as 7d or 90m, or Unix seconds")
)

// Duration parses a duration: everything that time.ParseDuration parses, and days, weeks and years. It may be negative only
// without these.
func Duration(text string) (time.Duration, error) {
	if d, err := time.ParseDuration(text); err == nil {
		return d, nil
	}
	d, err := model.ParseDuration(text)
	if err != nil {
		return 0, fmt.Errorf("timespec: %q: expected a duration such as 90m, 12h, 7d or 4w", text)
	}
	return time.Duration(d), nil
}

// At parses a point in time; zone determines where days begin. The result is in zone, except for RFC 3339, which keeps its own.
func At(text string, now time.Time, zone *time.Location) (time.Time, error) {
	now = now.In(zone)
	switch text {
	case "today":
		return begin(now, 'd'), nil
	case "yesterday":
		return startOfDay(now.Year(), now.Month(), now.Day()-1, zone), nil
	case "week", "month", "quarter", "year":
		return begin(now, map[string]byte{"week": 'w', "month": 'M', "quarter": 'Q', "year": 'y'}[text]), nil
	}
	if isExpression(text) {
		e, err := evaluate(text, now, zone)
		return e.pattern.truncate(e.at), err
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	if t, err := time.Parse(time.DateOnly, text); err == nil {
		return startOfDay(t.Year(), t.Month(), t.Day(), zone), nil
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		if n >= firstMillisecond || n <= -firstMillisecond {
			return time.Time{}, fmt.Errorf("timespec: %q: %w", text, errMilliseconds)
		}
		if n < firstSecond && n > 0 {
			return time.Time{}, fmt.Errorf("timespec: %q: %w", text, errNoUnit)
		}
		return time.Unix(n, 0).In(zone), nil
	}
	if rest, ok := strings.CutPrefix(text, "now"); ok {
		return relative(text, rest, now)
	}
	if t, ok := ago(text, now); ok {
		return t, nil
	}
	return time.Time{}, fmt.Errorf("timespec: %q: %s", text, Expected)
}

// IsRelative reports whether a point in time in a form of At depends on the current time.
func IsRelative(text string) bool {
	if _, err := strconv.ParseInt(text, 10, 64); err == nil {
		return false
	}
	_, err := Duration(text)
	return err == nil || strings.HasPrefix(text, "now") || isExpression(text)
}

// relative parses the part after now: -30d, /d, or both.
func relative(text, rest string, now time.Time) (time.Time, error) {
	rest, unit, rounded := strings.Cut(rest, "/")
	at := now
	if rest != "" {
		back, minus := strings.CutPrefix(rest, "-")
		t, ok := ago(back, now)
		if months, is := strings.CutSuffix(back, "M"); is {
			n, err := strconv.ParseUint(months, 10, 16)
			t, ok = addMonths(now, -int(n)), err == nil
		}
		if !minus || !ok {
			return at, fmt.Errorf("timespec: %q: expected now, now-30d or now-30d/d", text)
		}
		at = t
	}
	if !rounded {
		return at, nil
	}
	if len(unit) != 1 || !strings.Contains("hdwMQy", unit) {
		return at, fmt.Errorf("timespec: %q: expected /h, /d, /w, /M, /Q or /y at the end", text)
	}
	return begin(at, unit[0]), nil
}

// ago returns now minus a duration. Whole days are calendar days if they are written in days: seven days before noon is noon,
// also when the clock was changed in between.
func ago(text string, now time.Time) (time.Time, bool) {
	d, err := Duration(text)
	if err != nil || d < 0 || d == math.MaxInt64 {
		return now, false
	}
	if strings.ContainsAny(text, "dwy") {
		now = now.AddDate(0, 0, -int(d/day))
		d %= day
	}
	return now.Add(-d), true
}

// begin returns the beginning of the hour, day, week (w: Monday, s: Sunday), month, quarter or year of a time, in its zone.
func begin(t time.Time, unit byte) time.Time {
	year, month, dayOfMonth := t.Date()
	switch unit {
	case 'h': // not by the wall clock, which shows an hour twice when it is set back
		return t.Add(-time.Duration(t.Minute())*time.Minute - time.Duration(t.Second())*time.Second - time.Duration(t.Nanosecond()))
	case 'w':
		dayOfMonth -= (int(t.Weekday()) + 6) % 7
	case 's':
		dayOfMonth -= int(t.Weekday())
	case 'M':
		dayOfMonth = 1
	case 'Q':
		month, dayOfMonth = (month-1)/3*3+1, 1
	case 'y':
		month, dayOfMonth = time.January, 1
	}
	return startOfDay(year, month, dayOfMonth, t.Location())
}

// mostAhead is more than the clocks of any zone were ever ahead of UTC, including a day that was skipped.
const mostAhead = 26 * time.Hour

// startOfDay returns the first moment of a day. That is not midnight if the clock is set forward at midnight. It examines the two
// or three spans around midnight in which the offset from UTC is constant.
func startOfDay(year int, month time.Month, dayOfMonth int, zone *time.Location) time.Time {
	midnight := time.Date(year, month, dayOfMonth, 0, 0, 0, 0, time.UTC) // as the clocks of the zone show it
	for at := midnight.Add(-mostAhead).In(zone); ; {
		_, offset := at.Zone()
		first := midnight.Add(-time.Duration(offset) * time.Second).In(zone)
		if first.Before(at) {
			first = at // the clocks were set forward across midnight
		}
		_, end := at.ZoneBounds()
		if end.IsZero() || first.Before(end) {
			return first
		}
		at = end
	}
}
