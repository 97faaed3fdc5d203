package cli

import (
	"cmp"
	"errors"
	"fmt"
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
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newCheck(), newShow())
	return cmd
}

func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what is wrong with a configuration, by key",
		Long: `Reads the configuration as serve would (options, environment, file) and says
everything that is wrong with it, a line each: place, key, value, expectation.
Nothing is started and nothing is contacted.`,
		Example: `  reporterd config check --config reporterd.yaml
  REPORTERD_BATCH_FLUSH_INTERVAL=1s reporterd config check`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, file, err := load(cmd, false)
			if err == nil {
				err = daemon.CheckTokens(c)
			}
			if err != nil {
				return unusable(err)
			}
			for _, w := range c.Warnings() {
				fmt.Fprintln(cmd.ErrOrStderr(), "warning:", w)
			}
			if file == "" {
				file = "defaults and environment"
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: fine, %s\n", file, count(len(c.Services), "service"))
			return err
		},
	}
	addConfigFlags(cmd, "")
	return cmd
}

func newShow() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "show",
		Short: "Print the configuration in force, without secrets",
		Long: `Prints, as YAML, what serve would run with. What is not a default has a comment
that says where it came from. Secrets show as [redacted].`,
		Example: `  reporterd config show --config reporterd.yaml
  reporterd config show --sandbox`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			sandbox, _ := cmd.Flags().GetBool("sandbox")
			c, _, err := load(cmd, sandbox)
			if err != nil {
				return unusable(err)
			}
			text, err := c.YAML()
			if err != nil {
				return failed(err)
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		},
	}
	addConfigFlags(cmd, "show what serve --sandbox would run with")
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

func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
