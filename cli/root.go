// Package cli is the command line of reporterd: the tree of commands, their options, help and exit statuses.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
	"github.com/spf13/cobra"
)

// Exit statuses; they are API, and a table in docs/operating.md. Go's runtime ends with 2 after a panic, when memory is
// exhausted, and on SIGABRT, SIGQUIT or SIGSEGV, so a service manager must restart the daemon after a 2.
const (
	statusFine          = 0
	statusFailed        = 1  // it failed, or what it needs is not there yet: a restart may help
	statusMisuse        = 2  // wrong usage of the command line
	statusConfiguration = 78 // EX_CONFIG: a configuration that is wrong in itself; a restart cannot help
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

// failure is the error of a command that ran, with the exit status it deserves.
type failure struct {
	status int
	err    error // nil: said already
}

func (f *failure) Error() string { return fmt.Sprint(f.err) }
func (f *failure) Unwrap() error { return f.err }

// misuse is the error of a command line that is wrong.
func misuse(err error) error { return &failure{statusMisuse, err} }

// unusable is the error of a configuration that cannot be used: wrong in itself, or one that names a file that is not
// there yet, or wrong on the command line. An error that has its exit status already keeps it.
func unusable(err error) error {
	if f := (*failure)(nil); errors.As(err, &f) {
		return &failure{f.status, err}
	}
	switch config.FaultOf(err) {
	case config.Awaited:
		return failed(err)
	case config.Option:
		return misuse(err)
	}
	return &failure{statusConfiguration, err}
}

// failed is what went wrong while running; nil: nothing.
func failed(err error) error {
	if err == nil {
		return nil
	}
	return &failure{statusFailed, err}
}

// logged is a failure that was told already, in the log or in the command's own words.
func logged() error { return &failure{statusFailed, nil} }

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

// noArguments refuses words after a command that takes none, by name.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return fmt.Errorf("%q: no such command of %s", args[0], cmd.CommandPath())
	}
	return fmt.Errorf("%q: %s takes options only", args[0], cmd.CommandPath())
}
