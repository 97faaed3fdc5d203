package source

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"time"

	"github.com/reporterd/reporterd/threescale"
	"github.com/reporterd/reporterd/threescale/analytics"
	"github.com/reporterd/reporterd/threescale/portal"
)

// Portal is 3scale as a Side. names says how the ledger calls a user key, and idOf which application of a service that name stands
// for: itself, if that is not known.
func Portal(c *portal.Client, names func(threescale.Application) string, idOf func(service, name string) string) *Side {
	p := &portalSide{c, names, idOf}
	return &Side{
		Get: func(ctx context.Context, path string, q url.Values) (json.RawMessage, error) {
			return c.Get(ctx, path, q)
		},
		Applications: p.applications, Usage: p.usage,
	}
}

type portalSide struct {
	client *portal.Client
	names  func(threescale.Application) string
	idOf   func(service, name string) string
}

func (p *portalSide) applications(ctx context.Context, service string) ([]analytics.Application, error) {
	all, err := p.client.Applications(ctx, service, p.names)
	out := make([]analytics.Application, len(all))
	for i, a := range all {
		out[i] = analytics.Application{
			ID: a.ID, Key: p.idOf(service, a.Reported), Name: a.Name, State: a.State, ServiceKey: service, PlanID: a.PlanID, PlanName: a.PlanName,
			AccountID: a.AccountID, AccountName: a.Account,
		}
	}
	return out, err
}

// usage asks in UTC, which 3scale answers exactly; of each application in a call of its own.
func (p *portalSide) usage(ctx context.Context, q UsageQuery, add func(application string, at time.Time, value int64)) error {
	ask := portal.Question{ServiceID: q.Service, Metric: q.Metric, Since: q.Since, Until: q.Until, Granularity: portal.Hours}
	if q.Daily {
		ask.Granularity = portal.Days
	}
	if q.Application == "" && !q.Each {
		return p.one(ctx, ask, "", add)
	}
	all, err := p.applications(ctx, q.Service)
	if err != nil {
		return err
	}
	if q.Each && len(all) > mostAsked {
		return fmt.Errorf("source: the service has %d applications, and 3scale answers for one at a time: at most %d are asked about; use from: ledger", len(all), mostAsked)
	}
	found := q.Each
	for _, a := range all {
		if !q.Each && a.Key != q.Application {
			continue
		}
		found = true
		ask.ApplicationID = a.ID
		if err := p.one(ctx, ask, a.Key, add); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("source: application %q: 3scale's service %s has none that is reported as this", q.Application, q.Service)
	}
	return nil
}

func (p *portalSide) one(ctx context.Context, ask portal.Question, application string, add func(string, time.Time, int64)) error {
	counts, err := p.client.Usage(ctx, ask)
	for _, c := range counts {
		add(application, c.Time, c.Value)
	}
	return err
}
