package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
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
with tokens stoken1001 to stoken1005, counters in memory. Besides 3scale's own calls
it has GET /sandbox/usage, GET /sandbox/calls, PUT /sandbox/faults,
PUT /sandbox/applications and POST /sandbox/reset.`,
		Example: `  reporterd sandbox
  reporterd sandbox --listen 127.0.0.1:0 --negative-cache 60s
  reporterd serve --config reporterd.yaml --backend-url http://127.0.0.1:7072`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkSandbox(address, log); err != nil {
				return misuse(err)
			}
			logger, _ := newLogger(cmd.ErrOrStderr(), log)
			return runSandbox(cmd.Context(), logger, address, o)
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVar(&address, "listen", config.Default().Sandbox.Listen, "`address` to listen on: host:port")
	set.DurationVar(&o.NegativeCache, "negative-cache", 0, "how long the absence of a service or application is remembered (the real backend: 60s)")
	set.DurationVar(&o.WorkerDelay, "worker-delay", 0, "how long after the answer a report is counted")
	set.StringVar(&log.Level, "log-level", "info", "least `level` written: debug, info, warn or error")
	set.StringVar(&log.Format, "log-format", "json", "`format` of the log: json or console")
	return cmd
}

// runSandbox serves until SIGTERM or SIGINT.
func runSandbox(parent context.Context, log *zap.Logger, address string, o sandbox.Options) error {
	defer func() { _ = log.Sync() }() // standard error of a terminal cannot be synced
	ctx, release := untilSignal(parent)
	defer release()
	l, err := bind(ctx, log, "sandbox", address, sandbox.NewServer(sandbox.New(o)))
	if err != nil {
		return failed(err)
	}
	broken := make(chan error, 1)
	go func() { broken <- l.serve() }() // ended by shutdown
	select {
	case <-ctx.Done():
	case err := <-broken:
		return failed(err)
	}
	atMost, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	l.shutdown(atMost)
	log.Info("stopped")
	return nil
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
