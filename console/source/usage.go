package source

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale/analytics"
)

// mostAsked bounds for how many applications 3scale is asked, a call each.
const mostAsked = 500

// ranged returns the range of the question as of now.
func (a *asking) ranged() (*analytics.Span, *Result, error) {
	span, err := a.span(a.now)
	if err != nil {
		return nil, nil, err
	}
	r := &Result{}
	r.Since, r.Until = a.Meaning(a.now)
	return span, r, nil
}

// question is what a side is asked for the hours of [since, until). Whole UTC days are asked for as such: 3scale gives a year of
// them in one call.
func (a *asking) question(since, until time.Time) UsageQuery {
	return UsageQuery{
		Service: a.Service, Application: a.Application, Metric: a.Metric, Since: since.UTC(), Until: until.UTC(),
		Daily: a.zone == time.UTC && a.By != "hour",
	}
}

// usage has a row for each hour, day or month.
func (a *asking) usage(ctx context.Context, side *Side) (*Result, error) {
	span, r, err := a.ranged()
	if err != nil {
		return nil, err
	}
	values, _, err := span.Sum(func(since, until time.Time, add func(time.Time, int64)) error {
		return side.Usage(ctx, a.question(since, until), func(_ string, at time.Time, v int64) { add(at, v) })
	})
	if err != nil {
		return nil, err
	}
	r.Table = newTable("time:time", "value:integer")
	for i, v := range values {
		if err := r.add(span.Buckets[i].In(a.zone).Format(time.RFC3339), v); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// byApplication has a row for each application with usage, and for each hour, day or month in which it has any; or the applications
// with the most usage in all of the range.
func (a *asking) byApplication(ctx context.Context, side *Side) (*Result, error) {
	span, r, err := a.ranged()
	if err != nil {
		return nil, err
	}
	known, err := side.Applications(ctx, a.Service)
	if err != nil {
		return nil, err
	}
	byKey := make(map[string]analytics.Application, len(known))
	for _, k := range known {
		byKey[k.Key] = k
	}
	ask := a.question(r.Since, r.Until)
	if a.Question == "top_applications" && side.Top != nil {
		totals, err := side.Top(ctx, ask, a.Limit)
		r.Table = a.top(totals, byKey)
		return r, err
	}
	sums := make(map[string]map[time.Time]int64) // by application and bucket
	ask.Each = true
	err = side.Usage(ctx, ask, func(application string, at time.Time, v int64) {
		i, found := slices.BinarySearchFunc(span.Buckets, at, time.Time.Compare)
		if !found {
			i--
		}
		if v == 0 || i < 0 || !at.Before(r.Until) {
			return
		}
		if sums[application] == nil {
			sums[application] = make(map[time.Time]int64)
		}
		sums[application][span.Buckets[i]] += v
	})
	if err != nil {
		return nil, err
	}
	if a.Question == "top_applications" {
		r.Table = a.top(addUp(sums), byKey)
		return r, nil
	}
	r.Table, err = a.eachApplication(span, sums, byKey)
	return r, err
}

func (a *asking) eachApplication(span *analytics.Span, sums map[string]map[time.Time]int64, known map[string]analytics.Application) (*Table, error) {
	t := newTable("time:time", "application:string", "name:string", "account:string", "value:integer")
	names := slices.Sorted(maps.Keys(sums))
	for _, at := range span.Buckets {
		for _, name := range names {
			v := sums[name][at]
			if v == 0 {
				continue
			}
			k := known[name]
			if err := t.add(at.In(a.zone).Format(time.RFC3339), name, cmp.Or(k.Name, name), k.AccountName, v); err != nil {
				return nil, err
			}
		}
	}
	return t, nil
}

// addUp adds up each application.
func addUp(sums map[string]map[time.Time]int64) map[string]int64 {
	totals := make(map[string]int64, len(sums))
	for name, values := range sums {
		for _, v := range values {
			totals[name] += v
		}
	}
	return totals
}

func (a *asking) top(totals map[string]int64, known map[string]analytics.Application) *Table {
	t := newTable("application:string", "name:string", "account:string", "value:integer")
	names := slices.SortedFunc(maps.Keys(totals), func(x, y string) int { return cmp.Or(cmp.Compare(totals[y], totals[x]), cmp.Compare(x, y)) })
	for _, name := range names[:min(a.Limit, len(names))] {
		k := known[name]
		_ = t.add(name, cmp.Or(k.Name, name), k.AccountName, totals[name]) // a.Limit is far below mostRows
	}
	return t
}
