package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
)

func newReload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the daemon read its configuration again",
		Long: `Has the daemon read its configuration and the files that it names again, and
prints which changed keys are in force now and which need a restart. What is
wrong with the configuration is printed, and the one before stays in force.

A configuration that looks cut off is refused. If services are meant to go, name
them with --removed.

Exit status: 0 it is in force, 1 it was refused, or no answer, 2 wrong usage of
the command line, 78 the configuration is wrong that this command reads to find
the daemon.`,
		Example: `  reporterd reload
  reporterd reload --removed 2555417`,
		Args: noArguments,
		RunE: operating(func(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, _ []string) error {
			removed, _ := cmd.Flags().GetStringSlice("removed")
			done, err := daemon.Reload(ctx, removed)
			if err != nil {
				return err
			}
			if s.JSON() {
				return s.Object(done)
			}
			if len(done.Applied)+len(done.NeedsRestart) == 0 {
				s.Printf("read again: no key has changed\n")
			}
			if len(done.Applied) > 0 {
				s.Printf("%s %s\n", s.Paint(terminal.Green, "in force:"), strings.Join(done.Applied, ", "))
			}
			if len(done.NeedsRestart) > 0 {
				s.Printf("%s %s\n", s.Paint(terminal.Yellow, "not before a restart:"), strings.Join(done.NeedsRestart, ", "))
			}
			return nil
		}),
	}
	addDaemon(cmd)
	cmd.Flags().StringSlice("removed", nil, "`ids` of services that are meant to be gone")
	addOutput(cmd)
	_ = cmd.RegisterFlagCompletionFunc("removed", completeServices)
	return cmd
}
