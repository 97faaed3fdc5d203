package threescale

import "time"

// Period is what a limit of a plan holds for: a calendar period in UTC.
type Period uint8

// The periods, the longest first, as the backend lists them in an answer.
const (
	Eternity Period = iota
	Year
	Month
	Week // from Monday
	Day
	Hour
	Minute
)

var periodNames = [...]string{"eternity", "year", "month", "week", "day", "hour", "minute"}

// String returns the period's name on the wire.
func (p Period) String() string {
	if int(p) < len(periodNames) {
		return periodNames[p]
	}
	return "unknown"
}

// ParsePeriod reads the name of a period.
func ParsePeriod(s string) (Period, bool) {
	for i, name := range periodNames {
		if name == s {
			return Period(i), true
		}
	}
	return 0, false
}

// Start returns the beginning of the period that t lies in, in UTC; the zero time for Eternity.
func (p Period) Start(t time.Time) time.Time {
	t = t.UTC()
	switch p {
	case Year:
		return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case Month:
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	case Week:
		sinceMonday := (int(t.Weekday()) + 6) % 7
		return time.Date(t.Year(), t.Month(), t.Day()-sinceMonday, 0, 0, 0, 0, time.UTC)
	case Day:
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	case Hour:
		return t.Truncate(time.Hour)
	case Minute:
		return t.Truncate(time.Minute)
	}
	return time.Time{}
}

// End returns the first moment after the period that t lies in, in UTC; the zero time for Eternity.
func (p Period) End(t time.Time) time.Time {
	start := p.Start(t)
	switch p {
	case Year:
		return start.AddDate(1, 0, 0)
	case Month:
		return start.AddDate(0, 1, 0)
	case Week:
		return start.AddDate(0, 0, 7)
	case Day:
		return start.AddDate(0, 0, 1)
	case Hour:
		return start.Add(time.Hour)
	case Minute:
		return start.Add(time.Minute)
	}
	return time.Time{}
}
