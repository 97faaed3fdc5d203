package analytics

import (
	"errors"
	"net/url"
	"testing"
	"time"
)

// FuzzReadSpan: for every request, a range is whole buckets, in order, within the limits, or it is refused with a
// status that blames the query; and the hours of a range end in its buckets once.
func FuzzReadSpan(f *testing.F) {
	for _, q := range []string{
		"period=day", "period=week&since=2026-03-02&timezone=Madrid", "period=eternity", "granularity=month&since=2026-01-15&until=2026-03-02",
		"granularity=hour&since=2026-03-29&until=2026-03-29+05:00&timezone=Madrid", "period=month&since=2026-01-31", "period=day&since=0000-00-00",
		"granularity=day&since=2026-02-01&until=2026-02-02&timezone=Mumbai", "period=year&since=9999-12-31&granularity=21600", "granularity=day&since=2026-04-05&until=2026-04-06&timezone=Lord_Howe",
		"period=day&since=2026-10-25T01:30:00%2B02:00&timezone=Paris", "granularity=hour&since=2011-12-29&until=2012-01-01&timezone=Pacific/Apia",
	} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, query string) {
		params, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		s, err := ReadSpan(params, clock, false)
		var r *Refusal
		if errors.As(err, &r) {
			if r.Status != 400 || r.Sentence == "" {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		if err != nil {
			t.Fatalf("%q: %v", query, err)
		}
		if len(s.Buckets) > 2200 {
			t.Fatalf("%q: %d buckets", query, len(s.Buckets))
		}
		for i, at := range s.Buckets {
			if end := s.End(at); !end.After(at) || i+1 < len(s.Buckets) && !end.Equal(s.Buckets[i+1]) {
				t.Fatalf("%q: bucket %d from %v to %v", query, i, at, end)
			}
		}
		if s.Granularity == Eternity || len(s.Buckets) == 0 {
			return
		}
		if before := s.Before(); len(before.Buckets) != len(s.Buckets) || before.Until.After(s.Since) {
			t.Fatalf("%q: before: %v to %v", query, before.Since, before.Until)
		}
		hours := int64(0)
		values, total, err := s.Sum(func(since, until time.Time, add func(time.Time, int64)) error {
			for at := since.Truncate(time.Hour); at.Before(until) && hours < 100_000; at = at.Add(time.Hour) {
				if !at.Before(since) {
					hours++
					add(at, 1)
				}
			}
			return nil
		})
		if err != nil || total != hours || len(values) != len(s.Buckets) {
			t.Fatalf("%q: %d hours in the range, %d in the buckets: %v", query, hours, total, err)
		}
	})
}
