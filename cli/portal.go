package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/internal/lifecycle"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/portal"
)

// addPortal defines the options of commands that ask 3scale's admin portal.
func addPortal(cmd *cobra.Command) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringP("config", "c", "", "configuration `file` (also $REPORTERD_CONFIG; default /etc/reporterd/reporterd.yaml, if it exists)")
	cmd.Flags().Bool("sandbox", false, "ask the portal of a running serve --sandbox")
	cmd.Flags().String("portal-url", "", "the admin portal: acme, acme-admin.3scale.net or a `URL`; default: portal.url")
	cmd.Flags().String("access-token-file", "", "`file` that holds an access token of it; default: the configuration's")
}

// asking wraps the body of a command that asks the portal: it ends with Ctrl-C.
func asking(ask func(ctx context.Context, s *screen, p *portal.Client, c *config.Config, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		s, err := newScreen(cmd)
		if err != nil {
			return err
		}
		c, err := portalConfig(cmd)
		if err != nil {
			return unusable(err)
		}
		p, err := daemon.NewPortal(c, build(), "")
		if err != nil {
			return unusable(err)
		}
		defer p.Close()
		ctx, release := lifecycle.UntilSignal(cmd.Context())
		defer release()
		err = ask(ctx, s, p, c, cmd, args)
		s.clear()
		var known *failure
		switch {
		case err == nil || errors.As(err, &known):
			return err
		case errors.Is(err, context.Canceled):
			return failed(errors.New("interrupted"))
		}
		return failed(err)
	}
}

// portalConfig reads the configuration, and what of it the command line says otherwise. With --portal-url alone none is
// read: a token is tried before there is one.
func portalConfig(cmd *cobra.Command) (c *config.Config, err error) {
	sandboxed, _ := cmd.Flags().GetBool("sandbox")
	address, _ := cmd.Flags().GetString("portal-url")
	tokenFile, _ := cmd.Flags().GetString("access-token-file")
	file, _ := cmd.Flags().GetString("config")
	if c = config.Default(); address == "" || file != "" || sandboxed {
		if c, _, err = load(cmd, sandboxed); err != nil {
			return nil, err
		}
	}
	if address != "" || tokenFile != "" {
		given := c.Portal
		given.URL = cmp.Or(address, given.URL)
		if tokenFile != "" {
			given.AccessToken, given.AccessTokenFile = "", tokenFile
		}
		if given.AccessToken == "" && tokenFile == "" {
			given.AccessToken = config.Secret(os.Getenv(config.Variable("portal.access_token")))
		}
		if c.Portal, err = given.Complete(); err != nil {
			return nil, err
		}
	}
	if c.Portal.URL == "" {
		return nil, errors.New("portal.url: expected the admin portal: in the configuration, as --portal-url, or with --sandbox")
	}
	return c, nil
}

func newPortalServices() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "services",
		Short: "List the services of 3scale's admin portal, with their metrics",
		Long: `Asks the admin portal which services, metrics, methods and plans there are. The ids
are those that events and reports name. A star marks what the configuration lists.`,
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

func listServices(ctx context.Context, s *screen, p *portal.Client, c *config.Config, _ *cobra.Command, _ []string) error {
	services, err := p.Services(ctx)
	if err != nil {
		return err
	}
	configured := make(map[string]bool, len(c.Services))
	for _, one := range c.Services {
		configured[one.ID] = true
	}
	table := tabwriter.NewWriter(s.out, 0, 4, 2, ' ', 0)
	if !s.json {
		fmt.Fprintln(table, "ID\tNAME\tSTATE\tBY\tMETRICS\tPLANS")
	}
	for i := range services {
		s.progress("services", int64(i), int64(len(services)))
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
		if s.json {
			if err := s.object(row); err != nil {
				return err
			}
			continue
		}
		s.clear()
		fmt.Fprintln(table, row.line())
	}
	s.clear()
	return table.Flush()
}

func (r *serviceRow) line() string {
	id := r.ID
	if r.Configured {
		id += "*"
	}
	names := make([]string, len(r.Metrics))
	for i, m := range r.Metrics {
		names[i] = terminal.Clean(m.SystemName)
	}
	by := map[string]string{"1": "user_key", "2": "app_id", "oauth": "client_id", "oidc": "client_id"}[r.Version]
	return strings.Join([]string{id, terminal.Clean(r.Name), terminal.Clean(r.State), by, strings.Join(names, " "), terminal.Clean(strings.Join(r.Plans, ", "))}, "\t")
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

func newDoctor() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say what is wrong with the address, the token or the rights of the admin portal",
		Long: `Looks at what reporterd needs of 3scale's admin portal, one thing after the other:
the address, the token, its scopes, the configured services, the clock. Of what does not
hold it says why, and what to do.

Exit status: 0 all is well, 1 something is not, 2 wrong usage of the
command line, 78 wrong configuration.`,
		Example: `  reporterd doctor --sandbox
  reporterd doctor --portal-url acme --access-token-file token.txt
  reporterd doctor --config reporterd.yaml --output json`,
		Args: noArguments,
		RunE: asking(examine),
	}
	addPortal(cmd)
	addOutput(cmd)
	return cmd
}

func examine(ctx context.Context, s *screen, p *portal.Client, c *config.Config, _ *cobra.Command, _ []string) error {
	services := make([]string, len(c.Services))
	for i, one := range c.Services {
		services[i] = one.ID
	}
	ill := false
	for _, f := range p.CheckUp(ctx, services) {
		ill = ill || !f.OK
		if s.json {
			if err := s.object(f); err != nil {
				return err
			}
			continue
		}
		mark, colour := "ok  ", green
		if !f.OK {
			mark, colour = "FAIL", red
		}
		s.printf("%s  %-18s  %s\n", s.paint(colour, mark), f.Name, terminal.Clean(f.Detail))
		if f.Advice != "" {
			s.printf("      %-18s  → %s\n", "", f.Advice)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if ill {
		return logged()
	}
	return nil
}

// applicationsOf are the applications of a service, by what reports call them.
func applicationsOf(ctx context.Context, p *portal.Client, serviceID string) ([]portal.Application, error) {
	return p.Applications(ctx, serviceID, ledger.ApplicationName)
}
