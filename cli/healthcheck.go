package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/console/client"
)

// healthTimeout is below what service managers give a check.
const healthTimeout = 2 * time.Second

func newHealthcheck() *cobra.Command {
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "healthcheck",
		Short: "Ask the daemon whether it is ready, for health checks",
		Long: `Asks the daemon of a data directory for /readyz, or another one with
--admin-url, and prints what it says. It needs no token.

Exit status: 0 ready, 1 not ready or no answer, 2 wrong usage of the command
line, 78 wrong configuration.`,
		Example: `  reporterd healthcheck
  reporterd healthcheck --live --timeout 500ms
  reporterd healthcheck --admin-url http://10.0.0.7:7071`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			asked, err := newHealth(cmd, timeout)
			if err != nil {
				return err
			}
			said, err := asked.daemon.Health(cmd.Context(), asked.path)
			if err != nil {
				return failed(err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), said)
			return err
		},
	}
	addDaemon(cmd)
	cmd.Flags().Bool("live", false, "ask only whether it runs: /livez")
	addDuration(cmd.Flags(), &timeout, "timeout", healthTimeout, "how long to wait for the answer")
	return cmd
}

// health is one question to a daemon.
type health struct {
	daemon *client.Client
	path   string
}

func newHealth(cmd *cobra.Command, timeout time.Duration) (*health, error) {
	h := &health{path: "/readyz"}
	if live, _ := cmd.Flags().GetBool("live"); live {
		h.path = "/livez"
	}
	if timeout <= 0 {
		return nil, misuse(fmt.Errorf("--timeout: %v: expected more than 0s", timeout))
	}
	var err error
	if h.daemon, err = namedDaemon(cmd); err == nil {
		h.daemon.SetTimeout(timeout)
	}
	return h, err
}
