package cli

import (
	"cmp"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check a configuration, or show the one in force",
		Args:  noArguments,
		RunE:  showHelp,
	}
	cmd.AddCommand(newCheck(), newShow())
	return cmd
}

// addConfigFlags defines the options that serve and config share; --sandbox only with a usage.
func addConfigFlags(cmd *cobra.Command, sandboxUsage string) {
	cmd.Flags().SortFlags = false
	cmd.Flags().StringP("config", "c", "", "configuration `file` (also $REPORTERD_CONFIG; default /etc/reporterd/reporterd.yaml, if it exists)")
	if sandboxUsage != "" {
		cmd.Flags().Bool("sandbox", false, sandboxUsage)
	}
	config.AddFlags(cmd.Flags())
}

// defaultFile is the configuration where neither --config nor REPORTERD_CONFIG names one, and it exists.
const defaultFile = "/etc/reporterd/reporterd.yaml"

// configurationFile chooses the file to read; empty: none. The sandbox runs without the machine's own configuration,
// whose services are no business of it.
func configurationFile(option, variable, fallback string, sandbox bool) string {
	if name := cmp.Or(option, variable); name != "" || sandbox {
		return name
	}
	if _, err := os.Stat(fallback); errors.Is(err, fs.ErrNotExist) {
		return ""
	}
	return fallback // also where it cannot be read: opening it says why
}

// load reads the configuration that the command line and the environment name.
func load(cmd *cobra.Command, sandbox bool) (*config.Config, string, error) {
	given, _ := cmd.Flags().GetString("config")
	file := configurationFile(given, os.Getenv("REPORTERD_CONFIG"), defaultFile, sandbox)
	c, err := config.Load(config.Source{File: file, Flags: cmd.Flags(), Sandbox: sandbox, Person: daemon.IsTerminal(os.Stderr)})
	return c, file, err
}
