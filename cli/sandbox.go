package cli

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/internal/lifecycle"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

func newSandbox() *cobra.Command {
	var o sandbox.Options
	var address string
	var log config.Log
	cmd := &cobra.Command{
		Use:   "sandbox",
		Short: "Run the stand-in 3scale backend alone",
		Long: `Runs a stand-in for 3scale's backend, for demos and tests: services 1001 to 1005
with tokens stoken1001 to stoken1005, counters in memory. Besides 3scale's own
calls it has GET /sandbox/usage, GET /sandbox/calls, PUT /sandbox/faults, PUT
/sandbox/applications and POST /sandbox/reset.`,
		Example: `  reporterd sandbox
  reporterd sandbox --listen 127.0.0.1:0 --negative-cache 60s
  reporterd serve --config reporterd.yaml --backend-url http://127.0.0.1:7072`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSandbox(address, log); err != nil {
				return misuse(err)
			}
			logger, _ := daemon.NewLogger(cmd.ErrOrStderr(), log)
			defer func() { _ = logger.Sync() }() // standard error of a terminal cannot be synced
			ctx, release := lifecycle.UntilSignal(cmd.Context())
			defer release()
			return failed(daemon.RunSandbox(ctx, logger, address, o))
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&address, "listen", config.Default().Sandbox.Listen, "`address` to listen on: host:port")
	addDuration(set, &o.NegativeCache, "negative-cache", 0, "how long the absence of a service or application is remembered (the real backend: 60s)")
	addDuration(set, &o.WorkerDelay, "worker-delay", 0, "how long after the answer a report is counted")
	set.StringVar(&log.Level, "log-level", "info", "least `level` written: debug, info, warn or error")
	set.StringVar(&log.Format, "log-format", "json", "`format` of the log: json or console")
	return cmd
}

// checkSandbox holds the sandbox's options against what the configuration would take.
func checkSandbox(address string, c config.Log) error {
	if !config.IsAddress(address) {
		return fmt.Errorf("--listen: %q: expected host:port, such as 127.0.0.1:7072", address)
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Level) {
		return fmt.Errorf("--log-level: %q: expected debug, info, warn or error", c.Level)
	}
	if c.Format != "json" && c.Format != "console" {
		return fmt.Errorf("--log-format: %q: expected json or console", c.Format)
	}
	return nil
}
