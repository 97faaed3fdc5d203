package source

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale/analytics"
)

// planLimit is a limit with the names of what it is about.
type planLimit struct {
	plan, metric, period string
	planID, value        int64
}

// planLimits asks 3scale for the limits of all plans of the service.
func (a *asking) planLimits(ctx context.Context) (all []planLimit, err error) {
	if a.Plans == nil {
		return nil, errNoPortal
	}
	metrics, err := a.Metrics(ctx, a.Service)
	if err != nil {
		return nil, err
	}
	names := make(map[int64]string, len(metrics))
	for _, m := range metrics {
		names[m.ID] = m.SystemName
	}
	plans, err := a.Plans(ctx, a.Service)
	if err != nil {
		return nil, err
	}
	for _, p := range plans {
		limits, err := a.Limits(ctx, p.ID)
		if err != nil {
			return nil, err
		}
		for _, l := range limits {
			all = append(all, planLimit{p.Name, names[l.MetricID], l.Period, p.ID, l.Value})
		}
	}
	return all, nil
}

func (a *asking) limits(ctx context.Context) (*Result, error) {
	all, err := a.planLimits(ctx)
	if err != nil {
		return nil, err
	}
	r := &Result{Table: newTable("plan:string", "plan_id:integer", "metric:string", "period:string", "limit:integer")}
	for _, l := range all {
		if err := r.add(l.plan, l.planID, l.metric, l.period, l.value); err != nil {
			return nil, err
		}
	}
	return r, nil
}

// period returns when the present period of a limit began; ok is false where hours are too coarse (minute) or do not go back far
// enough (eternity). 3scale counts periods in UTC, and weeks from Monday.
func period(name string, now time.Time) (since time.Time, ok bool) {
	now = now.UTC()
	year, month, day := now.Date()
	switch name {
	case "hour":
		return now.Truncate(time.Hour), true
	case "day":
	case "week":
		day -= (int(now.Weekday()) + 6) % 7
	case "month":
		day = 1
	case "year":
		month, day = time.January, 1
	default:
		return since, false
	}
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC), true
}

// utilisation has a row for each application and each limit of its plan. What was used in a minute or in eternity is not known.
func (a *asking) utilisation(ctx context.Context, side *Side) (*Result, error) {
	limits, err := a.planLimits(ctx)
	if err != nil {
		return nil, err
	}
	known, err := side.Applications(ctx, a.Service)
	if err != nil {
		return nil, err
	}
	r := &Result{Table: newTable("application:string", "name:string", "account:string", "plan:string", "metric:string", "period:string",
		"period_began:time", "limit:integer", "used:integer", "percent:number")}
	sums := make(map[[2]string]map[string]int64) // by metric and period, then application
	for _, l := range limits {
		since, ok := period(l.period, a.now)
		of := [2]string{l.metric, l.period}
		if ok && sums[of] == nil {
			if sums[of], err = a.used(ctx, side, l.metric, since); err != nil {
				return nil, err
			}
		}
		for _, k := range known {
			if k.PlanID != l.planID {
				continue
			}
			if err := r.add(utilisationRow(k, l, since, sums[of], ok)...); err != nil {
				return nil, err
			}
		}
	}
	slices.SortStableFunc(r.Rows, func(x, y []any) int {
		p, _ := x[9].(float64)
		q, _ := y[9].(float64)
		return cmp.Compare(q, p)
	})
	return r, nil
}

func utilisationRow(k analytics.Application, l planLimit, since time.Time, used map[string]int64, ok bool) []any {
	row := []any{k.Key, k.Name, k.AccountName, l.plan, l.metric, l.period, nil, l.value, nil, nil}
	if !ok {
		return row
	}
	row[6], row[8] = since.Format(time.RFC3339), used[k.Key]
	if l.value > 0 {
		row[9] = 100 * float64(used[k.Key]) / float64(l.value)
	}
	return row
}

// used returns the usage of a metric since a moment, by application.
func (a *asking) used(ctx context.Context, side *Side, metric string, since time.Time) (map[string]int64, error) {
	sums := make(map[string]int64)
	q := UsageQuery{Service: a.Service, Metric: metric, Each: true, Since: since, Until: a.now.UTC().Truncate(time.Hour).Add(time.Hour)}
	err := side.Usage(ctx, q, func(application string, _ time.Time, v int64) { sums[application] += v })
	return sums, err
}
