package cli

import (
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/daemon"
	"github.com/reporterd/reporterd/internal/lifecycle"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Runs the daemon until SIGTERM or SIGINT. Then it stops accepting (after
stop_delay), seals what it has, sends what was not tried yet for half of
stop_timeout, waits for reports in flight and exits; what is left stays on disk
and goes out after the next start. Another signal, from a second later on, exits
at once, which loses nothing either.

With --sandbox it needs no file and no account: it starts a stand-in for
3scale's backend beside the daemon and prints commands to try.

Options beat the environment (REPORTERD_ and the key in capitals, dots as
underscores), the environment beats the file, the file beats the defaults.`,
		Example: `  reporterd serve --sandbox
  reporterd serve --config /etc/reporterd/reporterd.yaml
  reporterd serve --listen unix:/run/reporterd.sock --data-dir /srv/reporterd
  REPORTERD_LOG_LEVEL=debug reporterd serve --config reporterd.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGPIPE) // a log that cannot be written loses lines, and ends nothing
			signal.Ignore(syscall.SIGHUP)  // until there is something to reload: what is read now is the newest
			sandbox, _ := cmd.Flags().GetBool("sandbox")
			c, file, err := load(cmd, sandbox)
			if err != nil {
				return unusable(err)
			}
			log, level := daemon.NewLogger(cmd.ErrOrStderr(), c.Log)
			defer func() { _ = log.Sync() }() // standard error of a terminal cannot be synced
			if restore, err := zap.RedirectStdLogAt(log.Named("go"), zap.WarnLevel); err == nil {
				defer restore() // net/http and other libraries print by themselves
			}
			log.Info("starting", zap.String("version", version), zap.Int("pid", os.Getpid()),
				zap.String("config", file), zap.String("data_dir", c.DataDir))
			for _, w := range c.Warnings() {
				log.Warn(w)
			}
			ctx, release := lifecycle.UntilSignal(cmd.Context())
			defer release()
			return serveStatus(log, daemon.Run(ctx, daemon.Options{
				Config: c, Sandbox: sandbox, Stdout: cmd.OutOrStdout(), Build: build(), Log: log,
				Source: daemon.Source{File: file, Level: level, Read: func() (*config.Config, error) {
					c, _, err := load(cmd, sandbox)
					return c, err
				}},
			}))
		},
	}
	addConfigFlags(cmd, "run with a stand-in backend and its services, and print commands to try")
	return cmd
}

// serveStatus logs why the daemon could not run, for programs that read its log. A configuration that is wrong in itself is
// printed in plain words instead, as config check prints it.
func serveStatus(log *zap.Logger, err error) error {
	if err == nil {
		return nil
	}
	if errors.As(err, new(*daemon.ConfigurationError)) && config.FaultOf(err) != config.Awaited {
		return unusable(err)
	}
	log.Error("exiting", zap.Error(err))
	return logged()
}
