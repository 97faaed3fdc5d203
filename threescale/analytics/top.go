package analytics

import (
	"cmp"
	"slices"
	"strconv"
	"time"
)

const (
	topApplications = 10
	mostTop         = 1000

	// topAsked is for how many applications more than the limit is asked, since some may not be in the catalogue.
	topAsked = 100
)

// top ranks the applications of a service in a calendar period: unlike usage, the period is aligned.
func (c *call) top(s *Service) (any, error) {
	if err := c.required("metric_name", "period", "since"); err != nil {
		return nil, err
	}
	m, err := c.metric(s.Key)
	if err != nil {
		return nil, err
	}
	period := c.params.Get("period")
	if !slices.Contains([]string{"year", "month", "week", "day"}, period) {
		return nil, bad(`Period must be one of ["eternity", "year", "month", "week", "day"] not %q`, period)
	}
	loc := time.UTC
	if name := c.params.Get("timezone"); name != "" {
		if known, _, ok := zone(name); ok {
			loc = known
		}
	}
	at, err := Moment(c.params.Get("since"), loc)
	if err != nil {
		return nil, err
	}
	limit := topApplications
	if text := c.params.Get("limit"); text != "" {
		if limit, err = strconv.Atoi(text); err != nil || limit < 1 || limit > mostTop {
			return nil, bad("limit must be a number from 1 to %d, not %s", mostTop, text)
		}
	}
	begin, end := calendar(period, at)
	figure, err := c.figure()
	if err != nil {
		return nil, err
	}
	q := Question{Service: s.Key, Metric: m.SystemName, Figure: figure, Since: begin, Until: end, Most: topAsked + limit}
	rows, err := c.ranked(s, q, limit, loc == time.UTC)
	if err != nil {
		return nil, err
	}
	last := end.Add(-time.Second)
	return &topAnswer{since: begin, until: last, topShape: topShape{
		Applications: rows, Metric: m.shape(), Period: topPeriod{period, stamp(begin), stamp(last)},
	}}, nil
}

// calendar is the period that holds t, from its first moment to the first behind it.
func calendar(period string, t time.Time) (begin, end time.Time) {
	y, m, d := t.Date()
	switch period {
	case "year":
		return BeginningOfDay(y, 1, 1, t.Location()), BeginningOfDay(y+1, 1, 1, t.Location())
	case "month":
		return BeginningOfDay(y, m, 1, t.Location()), BeginningOfDay(y, m+1, 1, t.Location())
	case "week":
		d -= (int(t.Weekday()) + 6) % 7 // to Monday
		return BeginningOfDay(y, m, d, t.Location()), BeginningOfDay(y, m, d+7, t.Location())
	}
	return BeginningOfDay(y, m, d, t.Location()), BeginningOfDay(y, m, d+1, t.Location())
}

// ranked asks for the applications with the most usage: for all, if too many of the first are not in the catalogue.
func (c *call) ranked(s *Service, q Question, limit int, utc bool) ([]topRow, error) {
	sums, err := c.Source.Top(c.ctx, q)
	if err != nil {
		return nil, err
	}
	rows, err := c.rank(s, sums, limit, utc)
	if err != nil || len(sums) < q.Most || len(rows) == limit && rows[limit-1].total != 0 {
		return rows, err
	}
	q.Most = 0
	if sums, err = c.Source.Top(c.ctx, q); err != nil {
		return nil, err
	}
	return c.rank(s, sums, limit, utc)
}

// rank orders applications by their sums. Those that the catalogue does not know (any more) are left out, as the
// original does.
func (c *call) rank(s *Service, sums map[string]int64, limit int, utc bool) ([]topRow, error) {
	known, err := c.Source.Applications(c.ctx, s.Key)
	if err != nil {
		return nil, err
	}
	rows := make([]topRow, 0, min(len(known), limit))
	for i := range known {
		a := known[i].shape()
		n := sums[known[i].Key]
		if n == 0 && utc { // in other zones the original lists those without traffic
			continue
		}
		row := topRow{Name: a.Name, ID: a.ID, Value: n, Account: a.Account, Plan: a.Plan, Service: a.Service, total: n}
		row.Account.Link = ""
		if utc {
			row.Value = strconv.FormatInt(n, 10)
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b topRow) int { return cmp.Or(cmp.Compare(b.total, a.total), cmp.Compare(a.ID, b.ID)) })
	return rows[:min(len(rows), limit)], nil
}
