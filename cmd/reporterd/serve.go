package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/spool"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon",
		Long: `Runs the daemon until SIGTERM or SIGINT. Then it stops accepting (after stop_delay),
seals what it has, sends what was not tried yet for half of stop_timeout, waits for
reports in flight and exits; what is left stays on disk and goes out after the next
start. Another signal, from a second later on, exits at once, which
loses nothing either.

With --sandbox it needs no file and no account: it starts a stand-in for 3scale's
backend beside the daemon and prints commands to try.

Options beat the environment (REPORTERD_ and the key in capitals, dots as
underscores), the environment beats the file, the file beats the defaults.`,
		Example: `  reporterd serve --sandbox
  reporterd serve --config /etc/reporterd/reporterd.yaml
  reporterd serve --listen unix:/run/reporterd/reporterd.sock --data-dir /var/lib/reporterd
  REPORTERD_LOG_LEVEL=debug reporterd serve --config reporterd.yaml`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			signal.Ignore(syscall.SIGHUP)  // until there is something to reload: what is read now is the newest
			signal.Ignore(syscall.SIGPIPE) // a log that cannot be written loses lines, and ends nothing
			sandbox, _ := cmd.Flags().GetBool("sandbox")
			c, file, err := load(cmd, sandbox)
			if err != nil {
				return unusable(err)
			}
			log, level := newLogger(cmd.ErrOrStderr(), c.Log)
			defer func() { _ = log.Sync() }() // standard error of a terminal cannot be synced
			if restore, err := zap.RedirectStdLogAt(log.Named("go"), zap.WarnLevel); err == nil {
				defer restore() // net/http and other libraries print by themselves
			}
			log.Info("starting", zap.String("version", version), zap.Int("pid", os.Getpid()),
				zap.String("config", file), zap.String("data_dir", c.DataDir))
			for _, w := range c.Warnings() {
				log.Warn(w)
			}
			o := &origin{file: file, level: level, manager: newSupervision(log), read: func() (*config.Config, error) {
				c, _, err := load(cmd, sandbox)
				return c, err
			}}
			o.begin(c)
			return said(log, serve(cmd.Context(), log, c, o, sandbox, cmd.OutOrStdout()))
		},
	}
	addConfigFlags(cmd, "run with a stand-in backend and its services, and print commands to try")
	return cmd
}

// said logs why the daemon could not run, so that whoever reads its log by machine has it there. What is
// wrong with the configuration is said in plain words instead, as config check would.
func said(log *zap.Logger, err error) error {
	var f *failure
	if !errors.As(err, &f) || f.status != statusFailed {
		return err
	}
	log.Error("exiting", zap.Error(f.err))
	return failed(nil)
}

// serve is the daemon from its first listener to its last report.
func serve(parent context.Context, log *zap.Logger, c *config.Config, o *origin, sandboxed bool, stdout io.Writer) error {
	ctx, release := untilSignal(parent)
	defer release()
	floor := newHeapFloor()
	defer runtime.KeepAlive(floor)

	begun := time.Now()
	g, err := newGuards(c)
	if err != nil {
		return unusable(err)
	}
	if err := guard(c.DataDir, sandboxed); err != nil {
		return unusable(err)
	}
	d, err := bindDoors(ctx, log, c, sandboxed)
	if err != nil {
		return err
	}
	defer d.close()
	broken := d.serve(g)
	if c.Spool.Engine == "jetstream" {
		return serveReplica(ctx, log, c, o, d, g, begun, broken)
	}
	s, err := openSpool(log, c)
	if err != nil {
		return failed(err)
	}
	defer closeSpool(log, s)
	announce(log, c, d.admin, g.local)
	p, err := assemble(log, c, s, d.backend, g)
	if err != nil {
		return unusable(err)
	}
	if err := p.keepBooks(log, c, d.sandboxURL()); err != nil {
		return unusable(err)
	}
	reload := o.manager.reloading(func(removed []string) (console.Reloaded, error) { return p.reload(log, o, removed) })
	p.countPending(log, c.DataDir)
	p.start()
	if p.messages, err = openMessages(ctx, log, c, d.bounds.NATS, buried(s), p.handler); err != nil {
		stop(log, c.StopTimeout, d, p)
		return early(ctx, log, err)
	}
	d.traffic.gate.open(p.handler)
	d.traffic.express.SetExpress(p.authorizer.Express)
	d.admin.gate.open(newConsole(log, c, p, begun, reload))
	defer o.attend(log, reload, p.statusLine)()

	log.Info("ready", zap.Duration("after", time.Since(begun).Round(time.Millisecond)))
	if sandboxed {
		fmt.Fprint(stdout, quickStart(d.traffic, d.admin, d.sandbox, p.messages, c.DataDir))
	}
	err = until(ctx, broken)
	o.manager.stopping()
	p.stopping()
	linger(log, c.StopDelay, err, broken)
	stop(log, c.StopTimeout, d, p)
	if err == nil {
		p.remember(log, c.DataDir)
	}
	return err
}

// early is what a start that did not come to its end returns: one that was told to stop has not failed.
func early(ctx context.Context, log *zap.Logger, err error) error {
	if ctx.Err() == nil {
		return err
	}
	log.Info("stopped before it was ready")
	return nil
}

// until returns when the daemon is asked to stop, with nil, or when a listener breaks.
func until(ctx context.Context, broken <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-broken:
		return failed(err)
	}
}

// linger goes on accepting for a while after the order to stop, when the daemon is not ready any more: by then its traffic
// goes elsewhere. A listener that broke, before or meanwhile, ends it.
func linger(log *zap.Logger, delay time.Duration, broke error, broken <-chan error) {
	if delay <= 0 || broke != nil {
		return
	}
	log.Info("not ready any more; still accepting", zap.Duration("stop_delay", delay))
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
	case err := <-broken:
		log.Error("a listener broke while stopping", zap.Error(err))
	}
}

// assemble puts the parts together. Its errors are about the configuration.
func assemble(log *zap.Logger, c *config.Config, s *spool.Spool, backend string, g *guards) (*pipeline, error) {
	client, err := newClient(c, backend, &g.backend)
	if err != nil {
		return nil, err
	}
	v, err := newVouching(log.Named("proof"), c, backend, &g.backend)
	if err != nil {
		return nil, err
	}
	auth, err := newAuthorizer(log.Named("authorize"), c, s, backlogOf(log.Named("authorize"), s, c.DataDir), backend, &g.backend, v)
	if err != nil {
		return nil, err
	}
	return newPipeline(log, c, s, client, auth, v, g), nil
}

// stop is a crash with manners: nothing depends on it, but a report that gets its answer need not be
// repeated. It returns within the limit.
func stop(log *zap.Logger, limit time.Duration, d *doors, p *pipeline) {
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	log.Info("stopping", zap.Duration("at_most", limit))
	p.stopping()

	// A request that is still being sent after a quarter of the time was not acknowledged; its sender
	// will repeat it. The rest of the time belongs to the reports.
	requests, enough := context.WithTimeout(ctx, limit/4)
	d.traffic.shutdown(requests)
	p.messages.stop(requests, log)
	enough()

	err := p.finish(ctx, limit/2)
	p.compare.stop(ctx)
	p.books.stop(ctx, log)
	counts := p.spool.Counts()
	fields := []zap.Field{
		zap.Duration("took", time.Since(begun).Round(time.Millisecond)),
		zap.Uint64("pending", counts.Pending),
	}
	if errors.Is(err, context.DeadlineExceeded) {
		log.Warn("stopped with reports in flight: they may be counted twice", fields...)
		return
	}
	if err != nil {
		log.Warn("stopped without a last cut: what was accepted is in the journal", append(fields, zap.Error(err))...)
		return
	}
	log.Info("stopped", fields...)
}
