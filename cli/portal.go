package cli

import (
	"cmp"
	"context"
	"errors"
	"os"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
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
func asking(ask func(ctx context.Context, s *terminal.Screen, p *portal.Client, c *config.Config, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return run(cmd, func(ctx context.Context, s *terminal.Screen) error {
			c, err := portalConfig(cmd)
			if err != nil {
				return unusable(err)
			}
			p, err := daemon.NewPortal(c, build(), "")
			if err != nil {
				return unusable(err)
			}
			defer p.Close()
			return ask(ctx, s, p, c, cmd, args)
		})
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

// applicationsOf are the applications of a service, by what reports call them.
func applicationsOf(ctx context.Context, p *portal.Client, serviceID string) ([]portal.Application, error) {
	return p.Applications(ctx, serviceID, ledger.ApplicationName)
}
