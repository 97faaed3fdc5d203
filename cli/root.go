// Package cli is the command line of reporterd: the tree of commands, their options, help and exit statuses.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/daemon"
)

// Run is the program: it executes one command and returns its exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	var f *failure
	switch {
	case err == nil:
		return statusFine
	case !errors.As(err, &f): // cobra's own: an unknown command or option
		fmt.Fprintf(stderr, "reporterd: %v\nSee: reporterd --help\n", err)
		return statusMisuse
	case f.err != nil:
		daemon.Complain(stderr, f.err)
	}
	return f.status
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "reporterd",
		Short: "Turn many small 3scale reports into few large ones, and lose none",
		Long: `reporterd takes usage events and 3scale reports, acknowledges them once they are
on disk, sums them, and reports them to 3scale in few large calls.

Exit status: 0 fine; 1 it failed, or what it needs is not there yet; 2 wrong usage of
the command line; 78 a configuration that is wrong in itself.`,
		Example: `  reporterd serve --sandbox                   try it: no file, no account
  reporterd serve --config reporterd.yaml     run it
  reporterd config check --config reporterd.yaml`,
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		Version:       version,
	}
	root.SetVersionTemplate(versionText())
	root.AddCommand(newServe(), newSandbox(), newConfig(), newInspection(), newDeadLetter(), newHealthcheck(), newMan(), newPortalServices(), newUsage(), newDoctor(), newReconcile(), newToken(), newVersion())
	return root
}
