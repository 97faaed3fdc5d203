package sandbox

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// span is the range of an Analytics query: whole buckets, and how they were asked for.
type span struct {
	name         string // of the period; empty where since and until were given
	since, until time.Time
	granularity  string // month, day, hour or 21600
	zone         *time.Location
	zoneName     string
	buckets      []time.Time // starts
}

// The longest ranges by granularity.
var longest = []struct {
	granularity string
	most        time.Duration
	words       string
}{
	{"hour", 90 * 24 * time.Hour, "90 days"}, {"21600", 184 * 24 * time.Hour, "6 months"},
	{"day", year, "1 year"}, {"month", 10 * year, "10 years"},
}

const year = 365*24*time.Hour + 5*time.Hour + 49*time.Minute + 12*time.Second // 365.2425 days

// readSpan reads period, since, until, granularity and timezone.
func readSpan(params url.Values, now time.Time) (*span, error) {
	r := &span{name: params.Get("period"), granularity: params.Get("granularity"), zone: time.UTC, zoneName: "Etc/UTC"}
	if name := params.Get("timezone"); name != "" && name != "UTC" {
		if zone, err := time.LoadLocation(name); err == nil {
			r.zone, r.zoneName = zone, name
		}
	}
	var err error
	if r.name != "" {
		err = r.readPeriod(params, now)
	} else {
		err = r.readBounds(params)
	}
	if err != nil {
		return nil, err
	}
	for start := r.start(r.since); !start.After(r.until); start = r.next(start) {
		r.buckets = append(r.buckets, start)
		if len(r.buckets) > 10_000 {
			break // longer than any limit below
		}
	}
	if n := len(r.buckets); n > 0 {
		r.since, r.until = r.buckets[0], r.next(r.buckets[n-1]).Add(-time.Second)
	}
	for _, l := range longest {
		if l.granularity == r.granularity && r.until.Sub(r.since) > l.most {
			return nil, refuse(http.StatusBadRequest, "Time range for the granularity must be less than "+l.words)
		}
	}
	return r, nil
}

func (r *span) readPeriod(params url.Values, now time.Time) error {
	standard := map[string]string{"year": "month", "month": "day", "week": "21600", "day": "hour"}[r.name]
	if standard == "" {
		return refuse(http.StatusBadRequest, `Period must be one of ["year", "month", "week", "day"] not "`+r.name+`"`)
	}
	if r.granularity == "" {
		r.granularity = standard
	}
	if !slices.Contains([]string{"month", "day", "hour", "21600"}, r.granularity) {
		return &refusal{http.StatusInternalServerError, "Internal Server Error"}
	}
	after := func(t time.Time, n int) time.Time {
		switch r.name {
		case "year":
			return t.AddDate(n, 0, 0)
		case "month":
			return t.AddDate(0, n, 0)
		case "week":
			return t.AddDate(0, 0, 7*n)
		}
		return t.AddDate(0, 0, n)
	}
	r.since = after(now.In(r.zone), -1)
	if text := params.Get("since"); text != "" {
		var err error
		if r.since, err = parseMoment(text, r.zone); err != nil {
			return err
		}
	}
	r.until = after(r.since, 1).Add(-time.Second)
	return nil
}

func (r *span) readBounds(params url.Values) error {
	for _, name := range []string{"granularity", "since"} {
		if !params.Has(name) {
			return missing(name)
		}
	}
	if !params.Has("until") {
		return refuse(http.StatusBadRequest, "You need to specify either 'range' or 'since' and 'until'")
	}
	if !slices.Contains([]string{"month", "day", "hour"}, r.granularity) {
		return refuse(http.StatusBadRequest, "Granularity must be one of [:eternity, :month, :day, 6 hours, :hour], not "+r.granularity)
	}
	var err error
	if r.since, err = parseMoment(params.Get("since"), r.zone); err == nil {
		r.until, err = parseMoment(params.Get("until"), r.zone)
	}
	return err
}

// parseMoment reads a date or a time, in a zone unless it names an offset.
func parseMoment(text string, zone *time.Location) (time.Time, error) {
	text = strings.TrimSpace(text)
	for _, layout := range []string{
		time.RFC3339, "2006-01-02 15:04:05Z07:00", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02",
	} {
		if t, err := time.ParseInLocation(layout, text, zone); err == nil {
			return t.In(zone), nil
		}
	}
	return time.Time{}, refuse(http.StatusBadRequest, "Date parameters should have valid date/time format.")
}

// start is the beginning of the bucket that holds t, by the local calendar.
func (r *span) start(t time.Time) time.Time {
	y, m, d := t.Date()
	switch r.granularity {
	case "month":
		return time.Date(y, m, 1, 0, 0, 0, 0, r.zone)
	case "day":
		return time.Date(y, m, d, 0, 0, 0, 0, r.zone)
	case "21600":
		return time.Date(y, m, d, t.Hour()/6*6, 0, 0, 0, r.zone)
	}
	return t.Truncate(time.Hour)
}

// next is the beginning of the bucket after the one that begins at t.
func (r *span) next(t time.Time) time.Time {
	switch r.granularity {
	case "month":
		return t.AddDate(0, 1, 0)
	case "day":
		return t.AddDate(0, 0, 1)
	case "21600":
		return time.Date(t.Year(), t.Month(), t.Day(), t.Hour()+6, 0, 0, 0, r.zone)
	}
	return t.Add(time.Hour)
}

// before is the same number of buckets, immediately before.
func (r *span) before() *span {
	earlier := *r
	earlier.buckets = nil
	at := r.since
	for range r.buckets {
		at = r.start(at.Add(-time.Second))
		earlier.buckets = append(earlier.buckets, at)
	}
	return &earlier
}

func (r *span) period() object {
	p := object{"name": nil, "since": stamp(r.since), "until": stamp(r.until), "timezone": r.zoneName, "granularity": r.granularity}
	if r.name != "" {
		p["name"] = r.name
	}
	if r.granularity == "21600" {
		p["granularity"] = 21600
	}
	return p
}

func stamp(t time.Time) string { return t.Format(time.RFC3339) }
