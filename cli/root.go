// Package cli is the command line of reporterd: the tree of commands, their options, help and exit statuses.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/daemon"
)

// Run is the program: it executes one command and returns its exit status.
func Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	var f *failure
	switch {
	case err == nil:
		return statusFine
	case !errors.As(err, &f): // cobra's own: an unknown command or option
		f = &failure{statusMisuse, fmt.Errorf("reporterd: %w", err)}
	}
	if f.err != nil {
		daemon.Complain(stderr, f.err)
	}
	if f.status == statusMisuse {
		fmt.Fprintf(stderr, "See: %s --help\n", cmd.CommandPath())
	}
	return f.status
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "reporterd",
		Short: "Turn many small 3scale reports into few large ones, and lose none",
		Long: `reporterd takes usage events and 3scale reports, acknowledges them once they are
on disk, sums them, and reports them to 3scale in few large calls.

` + statusTable(),
		Example: `  reporterd serve --sandbox                     try it: no file, no account
  reporterd serve --config reporterd.yaml       run it
  reporterd config check --config reporterd.yaml
  reporterd send --service 1001 --app app1 --usage hits=1
  reporterd status`,
		Args:          noArguments,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          showHelp,
		Version:       version,
	}
	root.SetVersionTemplate(versionText())
	root.SetUsageTemplate(strings.NewReplacer(".FlagUsages ", ".FlagUsagesWrapped "+strconv.Itoa(helpWidth)+" ",
		" for more information about a command.", " says more about a command.").Replace(root.UsageTemplate()))
	root.AddGroup(
		&cobra.Group{ID: groupDaemon, Title: "Run and configure it:"}, &cobra.Group{ID: groupOperate, Title: "Operate a daemon that runs:"},
		&cobra.Group{ID: groupUsage, Title: "Usage, and what 3scale counted of it:"}, &cobra.Group{ID: groupDisk, Title: "What is on disk:"},
	)
	for group, commands := range map[string][]*cobra.Command{
		groupDaemon:  {newServe(), newSandbox(), newConfig(), newToken(), newVersion()},
		groupOperate: {newStatus(), newTop(), newSend(), newFlush(), newReload(), newParked(), newReceipts(), newHealthcheck()},
		groupUsage:   {newLedger(), newReconcile(), newUsage(), newSources(), newGate(), newPortalServices(), newApplications(), newAccounts(), newDoctor()},
		groupDisk:    {newInspection(), newDeadLetter()},
	} {
		for _, cmd := range commands {
			cmd.GroupID = group
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(newMan())
	prepare(root)
	return root
}

// helpWidth is how many columns the help takes.
const helpWidth = 80

// The groups of commands in the help.
const (
	groupDaemon  = "daemon"
	groupOperate = "operate"
	groupUsage   = "usage"
	groupDisk    = "disk"
)

// prepare gives every command what all have: suggestions, and completion that never falls to file names.
func prepare(cmd *cobra.Command) {
	cmd.SuggestionsMinimumDistance = mistyped
	cmd.SetFlagErrorFunc(suggestOption)
	completeValues(cmd)
	for _, sub := range cmd.Commands() {
		prepare(sub)
	}
}

// showHelp is the body of a command that only has subcommands.
func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }
