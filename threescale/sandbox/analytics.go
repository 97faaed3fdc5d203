package sandbox

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/analytics"
)

// stats answers the Analytics API from the counters. The caller holds s.mu.
func (s *Sandbox) stats(q *query) (any, error) {
	switch {
	case q.is("services/*/usage"), q.is("services/*/top_applications"):
		one, err := s.portalService(q, q.path[1])
		if err != nil {
			return nil, refuse(http.StatusNotFound, "Service not found")
		}
		if q.path[2] == "top_applications" {
			return s.topApplications(q, one)
		}
		var total *counters
		if l := s.ledgers[one.id]; l != nil {
			total = &l.total
		}
		return s.usage(q, one, total)
	case q.is("applications/*/usage"):
		a, err := s.applicationByNumber(q, q.path[1])
		if err != nil {
			return nil, err
		}
		var own *counters
		if l := s.ledgers[a.service.id]; l != nil {
			own = l.applications[a.id]
		}
		answer, err := s.usage(q, a.service, own)
		if err == nil {
			answer["application"] = a.brief()
		}
		return answer, err
	}
	return nil, notFound()
}

// brief is an application as the Analytics API names it.
func (a applicationRow) brief() object {
	n, _ := a.service.number()
	return object{
		"id": a.number, "name": a.title(), "state": a.state(), "link": fmt.Sprintf("/p/admin/applications/%d", a.number),
		"description": nil, "plan": object{"id": a.plan.number, "name": a.plan.name},
		"account": object{"id": a.developer(), "name": developers[a.number%int64(len(developers))].name,
			"link": fmt.Sprintf("/buyers/accounts/%d", a.developer())},
		"service": object{"id": n},
	}
}

// usage answers with one number for each bucket of the range. c may be nil: nothing was counted.
func (s *Sandbox) usage(q *query, one *service, c *counters) (object, error) {
	params := q.URL.Query()
	if !params.Has("metric_name") {
		return nil, missing("metric_name")
	}
	index, known := one.metrics.byName[params.Get("metric_name")]
	if !known {
		return nil, refuse(http.StatusBadRequest, "metric "+params.Get("metric_name")+" not found")
	}
	now := s.clock(s.now())
	r, err := readSpan(params, now)
	if err != nil {
		return nil, err
	}
	values, total := sums(r, c, index, now)
	answer := object{
		"metric": metricRow{one, index}.brief(), "period": r.Echo(), "total": total, "values": values,
	}
	if params.Get("skip_change") == "false" && r.Granularity != analytics.Eternity {
		_, previous := sums(r.Before(), c, index, now)
		answer["previous_total"], answer["change"] = previous, analytics.Change(int64(total), int64(previous))
	}
	return answer, nil
}

func missing(name string) error {
	return &refusal{http.StatusBadRequest, "Required parameter missing: " + name}
}

// sums reads one number a bucket.
func sums(r *analytics.Span, c *counters, index int, now time.Time) (values []uint64, total uint64) {
	values = []uint64{}
	for _, start := range r.Buckets {
		n := sum(r, c, index, start, now)
		values, total = append(values, n), total+n
	}
	return values, total
}

// sum reads the counter of one bucket: its own where the backend has one, otherwise those of its hours.
func sum(r *analytics.Span, c *counters, index int, start, now time.Time) uint64 {
	if c == nil || index >= len(c.usage) {
		return 0
	}
	series := c.usage[index]
	if r.Zone == time.UTC {
		switch r.Granularity {
		case analytics.Hour:
			return series.at(threescale.Hour, start, now)
		case analytics.Day:
			return series.at(threescale.Day, start, now)
		case analytics.Month:
			return series.at(threescale.Month, start, now)
		case analytics.Eternity:
			return series.at(threescale.Eternity, start, now)
		}
	}
	n, end := uint64(0), r.End(start)
	for hour := start; hour.Before(end); hour = hour.Add(time.Hour) {
		n += series.at(threescale.Hour, hour, now)
	}
	return n
}

// topApplications ranks a calendar period's users of a metric, ten of them.
func (s *Sandbox) topApplications(q *query, one *service) (any, error) {
	params := q.URL.Query()
	if !params.Has("metric_name") {
		return nil, missing("metric_name")
	}
	index, known := one.metrics.byName[params.Get("metric_name")]
	if !known {
		return nil, refuse(http.StatusBadRequest, "metric "+params.Get("metric_name")+" not found")
	}
	period, known := threescale.ParsePeriod(params.Get("period"))
	if !known || !slices.Contains([]threescale.Period{threescale.Day, threescale.Week, threescale.Month, threescale.Year}, period) {
		return nil, refuse(http.StatusBadRequest, fmt.Sprintf(`Period must be one of ["year", "month", "week", "day"] not %q`, params.Get("period")))
	}
	if !params.Has("since") {
		return nil, missing("since")
	}
	since, err := parseMoment(params.Get("since"), time.UTC)
	if err != nil {
		return nil, err
	}
	start := period.Start(since)
	return object{
		"applications": s.ranked(one, index, period, start), "metric": metricRow{one, index}.brief(),
		"period": object{"name": period.String(), "since": stamp(start), "until": stamp(endOf(period, start))},
	}, nil
}

func (s *Sandbox) ranked(one *service, index int, period threescale.Period, start time.Time) []object {
	type row struct {
		applicationRow
		n uint64
	}
	var rows []row
	if l := s.ledgers[one.id]; l != nil {
		for id, a := range s.directory.members[one.id].byID {
			if c := l.applications[id]; c != nil && index < len(c.usage) {
				if n := c.usage[index].at(period, start, s.clock(s.now())); n > 0 {
					rows = append(rows, row{applicationRow{one, a}, n})
				}
			}
		}
	}
	slices.SortFunc(rows, func(a, b row) int { return cmp.Or(cmp.Compare(b.n, a.n), cmp.Compare(a.number, b.number)) })
	top := []object{}
	for _, r := range rows[:min(10, len(rows))] {
		brief := r.brief()
		delete(brief["account"].(object), "link") // which only the usage of one application has
		top = append(top, object{
			"name": brief["name"], "id": brief["id"], "value": strconv.FormatUint(r.n, 10), "account": brief["account"], "plan": brief["plan"],
			"service": brief["service"],
		})
	}
	return top
}

// endOf is the last second of a period.
func endOf(p threescale.Period, start time.Time) time.Time {
	end := start.AddDate(0, 0, 1)
	switch p {
	case threescale.Week:
		end = start.AddDate(0, 0, 7)
	case threescale.Month:
		end = start.AddDate(0, 1, 0)
	case threescale.Year:
		end = start.AddDate(1, 0, 0)
	}
	return end.Add(-time.Second)
}
