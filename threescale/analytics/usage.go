package analytics

import (
	"cmp"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// usageAnswer is an answer with what its other forms need.
type usageAnswer struct {
	usageShape
	span *Span
}

type topAnswer struct {
	topShape
	since, until time.Time
}

// stats answers the Analytics API.
func (c *call) stats() (any, error) {
	switch {
	case c.is("services/*/usage"), c.is("services/*/top_applications"), c.is("services/*/summary"), c.is("services/*/usage_response_code"):
		s, err := c.service(c.path[1])
		if err != nil {
			return nil, err
		}
		switch c.path[2] {
		case "top_applications":
			return c.top(s)
		case "summary":
			return c.summary(s.Key)
		case "usage":
			return c.usage(s.Key, nil)
		}
	case c.is("applications/*/usage"), c.is("applications/*/summary"), c.is("applications/*/usage_response_code"):
		a, err := c.application(c.path[1])
		if err != nil {
			return nil, err
		}
		switch c.path[2] {
		case "summary":
			return c.summary(a.ServiceKey)
		case "usage":
			return c.usage(a.ServiceKey, a)
		}
	default:
		return nil, notFound()
	}
	return nil, bad("response codes are not kept here: ask 3scale")
}

// service finds a service by the portal's id.
func (c *call) service(id string) (*Service, error) {
	all, err := c.Source.Services(c.ctx)
	if err != nil {
		return nil, err
	}
	for i := range all {
		if strconv.FormatInt(all[i].ID, 10) == id && c.grant.Serves(all[i].Key) {
			return &all[i], nil
		}
	}
	return nil, refuse(http.StatusNotFound, "Service not found")
}

// application finds an application by the portal's id.
func (c *call) application(id string) (*Application, error) {
	n, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return nil, refuse(http.StatusNotFound, "Application not found")
	}
	services, err := c.Source.Services(c.ctx)
	if err != nil {
		return nil, err
	}
	for _, s := range services {
		if !c.grant.Serves(s.Key) {
			continue
		}
		all, err := c.Source.Applications(c.ctx, s.Key)
		if err != nil {
			return nil, err
		}
		if at, found := slices.BinarySearchFunc(all, n, func(a Application, n int64) int { return cmp.Compare(a.ID, n) }); found {
			return &all[at], nil
		}
	}
	return nil, refuse(http.StatusNotFound, "Application not found")
}

// metric finds the metric of a query.
func (c *call) metric(serviceKey string) (*Metric, error) {
	all, err := c.Source.Metrics(c.ctx, serviceKey)
	if err != nil {
		return nil, err
	}
	name := c.params.Get("metric_name")
	for i := range all {
		if all[i].SystemName == name {
			return &all[i], nil
		}
	}
	return nil, bad("metric %s not found", name)
}

// required refuses a call without one of the parameters, in the original's order.
func (c *call) required(names ...string) error {
	for _, name := range names {
		if c.params.Get(name) == "" {
			return Missing(name)
		}
	}
	return nil
}

// figure is which figures are asked for.
func (c *call) figure() (Figure, error) {
	f := Figure(c.params.Get("ledger"))
	if f == "" {
		return Delivered, nil
	}
	if !slices.Contains(figures, f) {
		return f, bad("ledger must be one of delivered, accepted, pending, dead, ambiguous, not %s", f)
	}
	return f, nil
}

// usage answers with one number for each bucket of the range.
func (c *call) usage(serviceKey string, a *Application) (any, error) {
	needed := []string{"metric_name"}
	if c.params.Get("period") == "" {
		needed = append(needed, "granularity", "since")
	}
	if err := c.required(needed...); err != nil {
		return nil, err
	}
	m, err := c.metric(serviceKey)
	if err != nil {
		return nil, err
	}
	span, err := ReadSpan(c.params, c.Now(), c.params.Get("extended") == "true")
	if err != nil {
		return nil, err
	}
	q := Question{Service: serviceKey, Metric: m.SystemName}
	if q.Figure, err = c.figure(); err != nil {
		return nil, err
	}
	answer := &usageAnswer{span: span, usageShape: usageShape{Metric: m.shape(), Period: span.Echo()}}
	if a != nil {
		q.Application, answer.Application = a.Key, a.shape()
	}
	if answer.Values, answer.Total, err = c.sum(q, span); err != nil {
		return nil, err
	}
	if c.params.Get("skip_change") == "false" && span.Granularity != Eternity {
		_, previous, err := c.sum(q, span.Before())
		if err != nil {
			return nil, err
		}
		change := percent(Change(answer.Total, previous))
		answer.PreviousTotal, answer.Change = &previous, &change
	}
	return answer, nil
}

func (c *call) sum(q Question, span *Span) ([]int64, int64, error) {
	return span.Sum(func(since, until time.Time, add func(time.Time, int64)) error {
		q.Since, q.Until = since, until
		return c.Source.Hours(c.ctx, q, add)
	})
}

// summary lists the metrics and the methods of a service.
func (c *call) summary(serviceKey string) (any, error) {
	if c.format != "json" {
		return nil, &Refusal{Status: http.StatusNotAcceptable, Sentence: `The server does not understand "` + c.format + `" request.`, Plain: true}
	}
	all, err := c.Source.Metrics(c.ctx, serviceKey)
	if err != nil {
		return nil, err
	}
	type row struct {
		Metric metricShape `json:"metric"`
	}
	answer := struct {
		Metrics []row `json:"metrics"`
		Methods []row `json:"methods"`
	}{[]row{}, []row{}}
	for i := range all {
		if all[i].ParentID == 0 {
			answer.Metrics = append(answer.Metrics, row{all[i].shape()})
		} else {
			answer.Methods = append(answer.Methods, row{all[i].shape()})
		}
	}
	return &answer, nil
}
