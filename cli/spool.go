package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/config"
)

func newInspection() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "spool",
		Short: "Look into a data directory, also while the daemon runs",
		Long: `Looks into a data directory: reads it as the daemon would at its next start, and
changes nothing. No lock is taken, so it works beside a running daemon.`,
		Args: noArguments,
		RunE: showHelp,
	}
	cmd.AddCommand(newSegments(), newSpoolShow(), newVerify(), newTotals(), newRestored())
	return cmd
}

// inspecting wraps the body of a command that looks into a directory: it ends with Ctrl-C.
func inspecting(look func(ctx context.Context, s *terminal.Screen, c *config.Config, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return run(cmd, func(ctx context.Context, s *terminal.Screen) error {
			c, err := directory(cmd)
			if err != nil {
				return err
			}
			return look(ctx, s, c, cmd, args)
		})
	}
}
