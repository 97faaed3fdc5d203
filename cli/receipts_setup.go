package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/threescale/portal"
)

// receiptChange is one change in the portal, in JSON.
type receiptChange struct {
	ServiceID string `json:"service_id"`
	Change    string `json:"change"`
	Done      bool   `json:"done"`
}

func newReceiptsSetup() *cobra.Command {
	return newReceiptsChange(&cobra.Command{
		Use:   "setup",
		Short: "Create receipt metrics, plan and applications in the admin portal",
		Long: `Creates what reports of a service need to carry receipts, through the admin
portal: 16 metrics, an application plan with their limits, a developer account
for all services, and four applications. It says first what it will create, and
asks. What is there already stays, so that a setup that was interrupted can be
run again. The access token needs write permission and the scope
account_management.

Then give the service "receipts: {auto: true}" in the configuration, wait a
minute, restart, and look: reporterd receipts check.

Exit status: 0 all is there, 1 something could not be created, 2 wrong usage of
the command line, 78 wrong configuration.`,
		Example: `  reporterd receipts setup --service 1001 --dry-run
  reporterd receipts setup --service 1001 --portal-url acme \
    --access-token-file token.txt`,
	}, func(ctx context.Context, p *portal.Client, _ *config.Config, service string) ([]portal.Step, error) {
		applications, metrics := config.ReceiptNames()
		return p.SetUpReceipts(ctx, service, applications, metrics)
	})
}

func newReceiptsRemove() *cobra.Command {
	return newReceiptsChange(&cobra.Command{
		Use:   "remove",
		Short: "Delete what receipts setup created in the admin portal",
		Long: `Deletes the receipt applications, their plan and the metrics of a service from
the admin portal. First take the receipts out of the configuration and restart
the daemon: an application that is deleted while it rides along voids reports.
The command refuses while the configuration has receipts for the service.

Exit status: 0 nothing is left, 1 something could not be deleted, 2 wrong usage
of the command line, 78 wrong configuration.`,
		Example: `  reporterd receipts remove --service 1001 --dry-run
  reporterd receipts remove --service 1001 --yes`,
	}, func(ctx context.Context, p *portal.Client, c *config.Config, service string) ([]portal.Step, error) {
		for _, s := range c.Services {
			if s.ID == service && s.Receipts.On() {
				return nil, fmt.Errorf("service %s has receipts in the configuration: remove them there, and restart the daemon", service)
			}
		}
		applications, metrics := config.ReceiptNames()
		return p.RemoveReceipts(ctx, service, applications, metrics)
	})
}

// newReceiptsChange completes a command that changes the portal in steps.
func newReceiptsChange(cmd *cobra.Command,
	steps func(ctx context.Context, p *portal.Client, c *config.Config, service string) ([]portal.Step, error),
) *cobra.Command {
	cmd.Args = noArguments
	cmd.RunE = asking(func(ctx context.Context, s *terminal.Screen, p *portal.Client, c *config.Config, cmd *cobra.Command, _ []string) error {
		service, _ := cmd.Flags().GetString("service")
		if service == "" {
			return misuse(errors.New("--service: expected the id of a service"))
		}
		todo, err := steps(ctx, p, c, service)
		if err != nil {
			return err
		}
		return changeReceipts(ctx, s, cmd, service, todo)
	})
	addPortal(cmd)
	cmd.Flags().String("service", "", "the `id` of the service")
	cmd.Flags().Bool("dry-run", false, "say what would be done, and do nothing")
	cmd.Flags().BoolP("yes", "y", false, "do not ask")
	addOutput(cmd)
	return cmd
}

// changeReceipts says what is to be done, asks, and does it.
func changeReceipts(ctx context.Context, s *terminal.Screen, cmd *cobra.Command, service string, todo []portal.Step) error {
	if len(todo) == 0 {
		s.Tell("nothing is to be done\n")
		return nil
	}
	if dry, _ := cmd.Flags().GetBool("dry-run"); dry {
		return listSteps(s, service, todo, false)
	}
	if !s.JSON() {
		for _, step := range todo {
			s.Tell("%s\n", step.What)
		}
	}
	if err := confirm(cmd, s, count(len(todo), "change")+" in the portal?"); err != nil {
		return err
	}
	for n, step := range todo {
		if err := step.Do(ctx); err != nil {
			return errors.Join(listSteps(s, service, todo[:n], true),
				failed(fmt.Errorf("cannot %s: %w; %d of %d done, run the command again for the rest", step.What, err, n, len(todo))))
		}
	}
	return listSteps(s, service, todo, true)
}

func listSteps(s *terminal.Screen, service string, steps []portal.Step, done bool) error {
	list, mark := s.List(), terminal.Cell{Text: "would"}
	if done {
		mark = terminal.Cell{Text: "done", Colour: terminal.Green}
	}
	for _, step := range steps {
		if err := list.Add(receiptChange{service, step.What, done}, mark, step.What); err != nil {
			return err
		}
	}
	list.End()
	return nil
}
