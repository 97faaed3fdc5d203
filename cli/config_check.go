package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/daemon"
)

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
			if err == nil {
				err = errors.Join(daemon.CheckSources(c), daemon.CheckGate(c))
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
