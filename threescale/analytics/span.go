package analytics

import (
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Granularity is how long a bucket is.
type Granularity string

// The granularities. SixHours exist beside a period only, Eternity with the period of that name.
const (
	Hour     Granularity = "hour"
	SixHours Granularity = "21600"
	Day      Granularity = "day"
	Month    Granularity = "month"
	Eternity Granularity = "eternity"
)

// Span is the range of a query: whole buckets by the local calendar, and how they were asked for.
type Span struct {
	Period       string // empty where since and until were given
	Since, Until time.Time
	Granularity  Granularity
	Zone         *time.Location
	ZoneName     string
	Buckets      []time.Time // where each begins; none when until is before since
}

// standard is the granularity of a period.
var standard = map[string]Granularity{"eternity": Eternity, "year": Month, "month": Day, "week": SixHours, "day": Hour}

// year is 365.2425 days.
const year = 31_556_952 * time.Second

// limits are the longest ranges by granularity.
var limits = map[Granularity]struct {
	most  time.Duration
	words string
}{
	Hour: {90 * 24 * time.Hour, "90 days"}, SixHours: {184 * 24 * time.Hour, "6 months"}, Day: {year, "1 year"}, Month: {10 * year, "10 years"},
}

const mostBuckets = 100_000 // of a range without limit

// ReadSpan reads period, since, until, granularity and timezone. unlimited lifts the limits of ranges. Its errors are
// Refusals.
func ReadSpan(params url.Values, now time.Time, unlimited bool) (*Span, error) {
	s := &Span{Period: params.Get("period"), Granularity: Granularity(params.Get("granularity")), Zone: time.UTC, ZoneName: "Etc/UTC"}
	if name := params.Get("timezone"); name != "" {
		loc, iana, known := zone(name)
		if known {
			s.Zone, s.ZoneName = loc, iana
		} else if !params.Has("since") { // beside since the original takes it for UTC
			return nil, bad("timezone %s not found", name)
		}
	}
	var err error
	switch {
	case s.Period != "":
		err = s.readPeriod(params, now)
	default:
		err = s.readBounds(params)
	}
	if err != nil || s.Granularity == Eternity {
		return s, err
	}
	return s, s.divide(unlimited)
}

// readPeriod reads a range of one period.
func (s *Span) readPeriod(params url.Values, now time.Time) error {
	usual, known := standard[s.Period]
	if !known {
		return bad(`Period must be one of ["eternity", "year", "month", "week", "day"] not %q`, s.Period)
	}
	if s.Granularity == "" {
		s.Granularity = usual
	}
	switch {
	case s.Period == "eternity" && s.Granularity != Eternity:
		return bad("Only 'eternity' granularity is supported for period 'eternity'")
	case s.Period != "eternity" && s.Granularity == Eternity:
		return bad("Granularity 'eternity' is only supported for period 'eternity'")
	case s.Period == "eternity":
		y, m, d := now.UTC().Date()
		s.Zone, s.ZoneName = time.UTC, "Etc/UTC"
		s.Since, s.Until = time.Unix(0, 0).UTC(), time.Date(y, m, d, 23, 59, 59, 0, time.UTC)
		s.Buckets = []time.Time{s.Since}
		return nil
	case !slices.Contains([]Granularity{Month, Day, Hour, SixHours}, s.Granularity):
		return badGranularity(s.Granularity)
	}
	s.Since = s.after(now.In(s.Zone), -1)
	if params.Has("since") {
		var err error
		if s.Since, err = Moment(params.Get("since"), s.Zone); err != nil {
			return err
		}
	}
	s.Until = s.after(s.Since, 1).Add(-time.Second)
	return nil
}

func badGranularity(g Granularity) error {
	return bad("Granularity must be one of [:eternity, :month, :day, 6 hours, :hour], not %s", g)
}

// after is n calendar periods after t; the last day of a month that is too short.
func (s *Span) after(t time.Time, n int) time.Time {
	months, clock := 0, clockOf(t)
	if y, m, d := t.Date(); t.Equal(BeginningOfDay(y, m, d, s.Zone)) {
		clock = time.Date(y, m, d, 0, 0, 0, 0, time.UTC) // also where the day begins at one o'clock
	}
	switch s.Period {
	case "year":
		months = 12 * n
	case "month":
		months = n
	case "week":
		return wall(clock.AddDate(0, 0, 7*n), s.Zone)
	default:
		return wall(clock.AddDate(0, 0, n), s.Zone)
	}
	first := time.Date(clock.Year(), clock.Month()+time.Month(months), 1, clock.Hour(), clock.Minute(), clock.Second(), 0, time.UTC)
	return wall(first.AddDate(0, 0, min(clock.Day(), first.AddDate(0, 1, -1).Day())-1), s.Zone)
}

// readBounds reads a range from since to until.
func (s *Span) readBounds(params url.Values) error {
	for _, name := range []string{"granularity", "since"} {
		if params.Get(name) == "" {
			return Missing(name)
		}
	}
	switch {
	case params.Get("until") == "":
		return bad("You need to specify either 'range' or 'since' and 'until'")
	case s.Granularity == Eternity:
		return bad("Granularity 'eternity' is only supported for period 'eternity'")
	case !slices.Contains([]Granularity{Month, Day, Hour}, s.Granularity):
		return badGranularity(s.Granularity)
	}
	var err error
	if s.Since, err = Moment(params.Get("since"), s.Zone); err == nil {
		s.Until, err = Moment(params.Get("until"), s.Zone)
	}
	return err
}

var (
	zoned   = []string{time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05 MST"}
	unzoned = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", "2006-01-02", "20060102"}
)

// zoneAbbreviation is what time.Parse would take for any zone with an offset it does not know.
var zoneAbbreviation = regexp.MustCompile(` [A-Z]{3,}$`)

// Moment reads a date or a time, in a zone unless it names an offset.
func Moment(text string, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	if utc, ok := strings.CutSuffix(text, " UTC"); ok {
		text = utc + "Z"
	}
	if !zoneAbbreviation.MatchString(text) {
		for _, layout := range zoned {
			if t, err := time.ParseInLocation(layout, text, zone); err == nil {
				return t.In(zone), nil
			}
		}
		for _, layout := range unzoned {
			if t, err := time.Parse(layout, text); err == nil {
				return wall(t, zone), nil
			}
		}
	}
	return time.Time{}, bad("Date parameters should have valid date/time format.")
}

// divide aligns the range to whole buckets.
func (s *Span) divide(unlimited bool) error {
	begin, end := s.start(s.Since), s.next(s.start(s.Until)).Add(-time.Second)
	if l := limits[s.Granularity]; !unlimited && end.Sub(begin) > l.most {
		return bad("Time range for the granularity must be less than %s", l.words)
	}
	for at := begin; !at.After(s.Until); at = s.next(at) {
		if len(s.Buckets) == mostBuckets {
			return bad("Time range for the granularity must be less than %d buckets", mostBuckets)
		}
		if (s.Granularity == Hour || s.Granularity == SixHours) && !wholeHours(at) {
			return bad("Figures are kept by UTC hour: time zone %s is not off UTC by whole hours, ask by day or month", s.ZoneName)
		}
		s.Buckets = append(s.Buckets, at)
	}
	s.Since, s.Until = begin, end
	return nil
}

// start is the beginning of the bucket that holds t, by the local calendar.
func (s *Span) start(t time.Time) (begin time.Time) {
	y, m, d := t.Date()
	switch s.Granularity {
	case Month:
		begin = BeginningOfDay(y, m, 1, s.Zone)
	case Day:
		begin = BeginningOfDay(y, m, d, s.Zone)
	case SixHours:
		begin = wall(time.Date(y, m, d, t.Hour()/6*6, 0, 0, 0, time.UTC), s.Zone)
	default:
		_, offset := t.Zone()
		return t.Add(-time.Duration((t.Unix()+int64(offset))%3600) * time.Second).Truncate(time.Second)
	}
	if next := s.next(begin); !next.After(t) { // the clocks went back over the edge: the bucket behind it had begun
		return next
	}
	return begin
}

// next is the beginning of the bucket behind the one that begins at t.
func (s *Span) next(t time.Time) time.Time {
	y, m, d := t.Date()
	switch s.Granularity {
	case Month:
		return BeginningOfDay(y, m+1, 1, s.Zone)
	case Day:
		return BeginningOfDay(y, m, d+1, s.Zone)
	case SixHours:
		return wall(time.Date(y, m, d, t.Hour()/6*6+6, 0, 0, 0, time.UTC), s.Zone)
	}
	return t.Add(time.Hour)
}

// End is where the bucket that begins at t ends: the beginning of the one behind it.
func (s *Span) End(t time.Time) time.Time {
	if s.Granularity == Eternity {
		return forever
	}
	return s.next(t)
}

// forever is behind everything that was ever counted.
var forever = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// Before is the range of as many buckets right before this one. Eternity has none.
func (s *Span) Before() *Span {
	earlier := *s
	earlier.Buckets = make([]time.Time, len(s.Buckets))
	at := s.Since
	for i := range slices.Backward(s.Buckets) {
		at = s.start(at.Add(-time.Second))
		earlier.Buckets[i] = at
	}
	earlier.Since, earlier.Until = at, s.Since.Add(-time.Second)
	return &earlier
}

// Sum reads the hours of the range once and returns one number for each bucket, and their sum. hours calls add with
// the figures of the UTC hours that begin in [since, until). An hour that a bucket's edge divides, in a zone
// without whole hours, counts for the bucket it begins in.
func (s *Span) Sum(hours func(since, until time.Time, add func(hour time.Time, value int64)) error) (values []int64, total int64, err error) {
	values = make([]int64, len(s.Buckets))
	if len(values) == 0 {
		return values, 0, nil
	}
	begin, end := s.Buckets[0], s.End(s.Buckets[len(s.Buckets)-1])
	err = hours(begin, end, func(hour time.Time, value int64) {
		at, found := slices.BinarySearchFunc(s.Buckets, hour, time.Time.Compare)
		if !found {
			at--
		}
		if at >= 0 && hour.Before(end) {
			values[at] += value
			total += value
		}
	})
	return values, total, err
}

// Change is by how many percent total differs from previous: 0 when both are equal, 100 from nothing.
func Change(total, previous int64) float64 {
	switch {
	case total == previous:
		return 0
	case previous == 0:
		return 100
	}
	return float64(total-previous) / float64(previous) * 100
}
