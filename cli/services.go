package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/threescale/portal"
)

func newPortalServices() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "services",
		Short: "List the services of 3scale's admin portal, with their metrics",
		Long: `Asks the admin portal which services, metrics, methods and plans there are. The
ids are those that events and reports name. A star marks what the configuration
lists.`,
		Example: `  reporterd services --sandbox
  reporterd services --portal-url acme --access-token-file token.txt
  reporterd services --config reporterd.yaml --output json | jq .metrics`,
		Args: noArguments,
		RunE: asking(listServices),
	}
	addPortal(cmd)
	addOutput(cmd)
	return cmd
}

// serviceRow is a service in JSON.
type serviceRow struct {
	ID         string      `json:"id"`
	Name       string      `json:"name"`
	SystemName string      `json:"system_name"`
	State      string      `json:"state"`
	Version    string      `json:"backend_version"`
	Configured bool        `json:"configured"`
	Metrics    []metricRow `json:"metrics"`
	Plans      []string    `json:"plans"`
}

type metricRow struct {
	SystemName string `json:"system_name"`
	Name       string `json:"name"`
	Unit       string `json:"unit"`
	Parent     string `json:"parent,omitempty"`
}

func listServices(ctx context.Context, s *terminal.Screen, p *portal.Client, c *config.Config, _ *cobra.Command, _ []string) error {
	services, err := p.Services(ctx)
	if err != nil {
		return err
	}
	configured := make(map[string]bool, len(c.Services))
	for _, one := range c.Services {
		configured[one.ID] = true
	}
	list := s.List("ID", "NAME", "STATE", "BY", "METRICS", "PLANS")
	defer list.End()
	for i := range services {
		s.Progress("services", int64(i), int64(len(services)))
		one := &services[i]
		row := serviceRow{
			ID: one.ServiceID(), Name: one.Name, SystemName: one.SystemName, State: one.State, Version: string(one.Version), Configured: configured[one.ServiceID()],
		}
		if row.Metrics, err = metricsOf(ctx, p, row.ID); err != nil {
			return err
		}
		plans, err := p.Plans(ctx, row.ID)
		if err != nil {
			return err
		}
		for _, plan := range plans {
			row.Plans = append(row.Plans, plan.Name)
		}
		if err := list.Add(row, row.cells()...); err != nil {
			return err
		}
	}
	return nil
}

func (r *serviceRow) cells() []any {
	id := r.ID
	if r.Configured {
		id += "*"
	}
	names := make([]string, len(r.Metrics))
	for i, m := range r.Metrics {
		names[i] = m.SystemName
	}
	by := map[string]string{"1": "user_key", "2": "app_id", "oauth": "client_id", "oidc": "client_id"}[r.Version]
	return []any{id, r.Name, r.State, by, strings.Join(names, " "), strings.Join(r.Plans, ", ")}
}

func metricsOf(ctx context.Context, p *portal.Client, serviceID string) ([]metricRow, error) {
	all, err := p.Metrics(ctx, serviceID)
	if err != nil {
		return nil, err
	}
	names := make(map[int64]string, len(all))
	for _, m := range all {
		names[m.ID] = m.SystemName
	}
	rows := make([]metricRow, len(all))
	for i, m := range all {
		rows[i] = metricRow{SystemName: m.SystemName, Name: m.Name, Unit: m.Unit, Parent: names[m.ParentID]}
	}
	return rows, nil
}
