package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/cli/terminal"
	"github.com/reporterd/reporterd/console/client"
)

// addDaemon defines the options of commands that ask a daemon.
func addDaemon(cmd *cobra.Command) {
	addDirectory(cmd)
	cmd.Flags().Lookup("data-dir").Usage = "data `directory` of the daemon; default: the configuration's data_dir"
	cmd.Flags().String("admin-url", "", "admin listener of the daemon, as `URL`; default: the one that uses the directory")
}

// operating wraps the body of a command that asks the admin API of a daemon: it ends with Ctrl-C.
func operating(operate func(ctx context.Context, s *terminal.Screen, daemon *client.Client, cmd *cobra.Command, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		return run(cmd, func(ctx context.Context, s *terminal.Screen) error {
			daemon, err := namedDaemon(cmd)
			if err != nil {
				return err
			}
			return operate(ctx, s, daemon, cmd, args)
		})
	}
}
