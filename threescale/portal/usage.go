package portal

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"
)

// Granularity is how wide a bucket of Usage is.
type Granularity string

// The granularities that the portal answers exactly in UTC.
const (
	Hours Granularity = "hour"
	Days  Granularity = "day"
)

// window is the longest range of one call that every portal takes.
func (g Granularity) window() time.Duration {
	if g == Days {
		return 365 * 24 * time.Hour
	}
	return 90 * 24 * time.Hour
}

func (g Granularity) step() time.Duration {
	if g == Days {
		return 24 * time.Hour
	}
	return time.Hour
}

// Question asks what was counted of a metric, of a service, or of one application.
type Question struct {
	ServiceID     string
	ApplicationID int64 // the portal's own id; 0: all of the service
	Metric        string
	Since, Until  time.Time // UTC; Until is not in it. Both are widened to whole buckets
	Granularity   Granularity
}

func (q *Question) path() string {
	if q.ApplicationID != 0 {
		return "/stats/applications/" + strconv.FormatInt(q.ApplicationID, 10) + "/usage.json"
	}
	return "/stats/services/" + url.PathEscape(q.ServiceID) + "/usage.json"
}

// Count is what was counted in the bucket that begins at Time.
type Count struct {
	Time  time.Time
	Value int64
}

// usageAnswer is what of an answer is looked at.
type usageAnswer struct {
	Period struct {
		Since    string `json:"since"`
		Until    string `json:"until"`
		Timezone string `json:"timezone"`
	} `json:"period"`
	Total  int64   `json:"total"`
	Values []int64 `json:"values"`
}

// Usage returns one count for each bucket, oldest first. Ranges that are too long for one call are asked for in parts.
func (c *Client) Usage(ctx context.Context, q Question) ([]Count, error) {
	if q.Granularity == "" {
		q.Granularity = Hours
	}
	step := q.Granularity.step()
	since, until := q.Since.UTC().Truncate(step), q.Until.UTC()
	if t := until.Truncate(step); t.Before(until) {
		until = t.Add(step)
	}
	var all []Count
	for since.Before(until) {
		end := since.Add(q.Granularity.window())
		if end.After(until) {
			end = until
		}
		part, err := c.usage(ctx, q, since, end)
		if err != nil {
			return nil, err
		}
		all, since = append(all, part...), end
	}
	return all, nil
}

// usage asks for one part, and holds what is echoed against what was asked.
func (c *Client) usage(ctx context.Context, q Question, since, until time.Time) ([]Count, error) {
	const form = "2006-01-02 15:04:05"
	last := until.Add(-time.Second)
	var a usageAnswer
	path := q.path()
	if err := c.get(ctx, path, url.Values{
		"metric_name": {q.Metric}, "granularity": {string(q.Granularity)}, "timezone": {"UTC"}, "skip_change": {"true"},
		"since": {since.Format(form)}, "until": {last.Format(form)},
	}, &a); err != nil {
		return nil, err
	}
	step := q.Granularity.step()
	wrong := func(format string, args ...any) error {
		return &Error{Fault: FaultUnexpected, Status: 200, Path: path, Text: fmt.Sprintf(format, args...)}
	}
	for _, edge := range []struct {
		name, got string
		want      time.Time
	}{{"since", a.Period.Since, since}, {"until", a.Period.Until, last}} {
		if got, err := time.Parse(time.RFC3339, edge.got); err != nil || !got.Equal(edge.want) {
			return nil, wrong("period.%s is %q: asked for %s", edge.name, edge.got, edge.want.Format(time.RFC3339))
		}
	}
	if want := int(until.Sub(since) / step); len(a.Values) != want {
		return nil, wrong("%d values: asked for %d", len(a.Values), want)
	}
	counts := make([]Count, len(a.Values))
	for i, v := range a.Values {
		counts[i] = Count{Time: since.Add(time.Duration(i) * step), Value: v}
	}
	return counts, nil
}
