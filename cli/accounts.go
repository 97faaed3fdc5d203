package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/threescale/portal"
)

func newAccounts() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "accounts",
		Short: "List the developer accounts of the admin portal",
		Long: `Asks the admin portal which developer accounts there are. An application belongs
to an account: reporterd applications lists those of a service.`,
		Example: `  reporterd accounts --sandbox
  reporterd accounts --output json | jq 'select(.state != "approved")'`,
		Args: noArguments,
		RunE: asking(listAccounts),
	}
	addPortal(cmd)
	addOutput(cmd)
	return cmd
}

func listAccounts(ctx context.Context, s *terminal.Screen, p *portal.Client, _ *config.Config, _ *cobra.Command, _ []string) error {
	all, err := p.Accounts(ctx)
	if err != nil {
		return err
	}
	list := s.List("ID", "NAME", "STATE")
	defer list.End()
	for _, a := range all {
		if err := list.Add(a, a.ID, a.Name, stateCell(a.State)); err != nil {
			return err
		}
	}
	return nil
}
