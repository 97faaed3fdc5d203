// Package daemon is reporterd from its first listener to its last report: it binds the listeners, opens the engine, takes events
// from HTTP and NATS, serves the admin listener, reloads the configuration, and stops. It is the only package beside cli that
// sees the configuration.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/internal/lifecycle"
)

// Options are what a daemon is made of.
type Options struct {
	Config  *config.Config
	Sandbox bool      // a stand-in backend runs beside it
	Stdout  io.Writer // where commands to try are printed, with Sandbox
	Build   console.Build
	Log     *zap.Logger
	Source  Source
}

// Source is where the configuration came from, for reloads.
type Source struct {
	File  string                         // may be empty
	Read  func() (*config.Config, error) // reads it again
	Level zap.AtomicLevel                // of Log
}

// ConfigurationError is an error that is about the configuration: trying again without a change is of no use.
type ConfigurationError struct{ Err error }

// Error is the error without a word about its kind.
func (e *ConfigurationError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *ConfigurationError) Unwrap() error { return e.Err }

func misconfigured(err error) error {
	if err == nil {
		return nil
	}
	return &ConfigurationError{err}
}

// errStarting is why a daemon that has not opened its listeners yet is not ready.
var errStarting = errors.New("starting: events are not taken yet")

// daemon is one lifetime.
type daemon struct {
	log       *zap.Logger
	config    *config.Config // as it was read at the start
	options   Options
	begun     time.Time
	auth      *authentication
	listeners *listeners
	engine    engine
	handler   *ingest.Handler // takes events
	services  services        // those in force
	compare   comparison
	messages  atomic.Pointer[messages] // what comes by NATS; nil: nothing does
	reloads   reloads
	manager   *serviceManager
	group     lifecycle.Group // what runs beside the engine

	started atomic.Bool        // events are taken
	ending  context.Context    // ends when the daemon begins to stop
	end     context.CancelFunc // ends ending
}

// Run is the daemon from its first listener to its last report. It returns once ctx has ended and everything was stopped, with
// nil then; else with a *ConfigurationError, or with why it could not run.
func Run(ctx context.Context, o Options) error {
	floor := newHeapFloor()
	defer runtime.KeepAlive(floor)
	d := &daemon{log: o.Log, config: o.Config, options: o, begun: time.Now(), manager: newServiceManager(o.Log)}
	d.ending, d.end = context.WithCancel(context.Background())
	defer d.end()
	d.reloads.begin(o.Source, o.Config)
	var err error
	if d.auth, err = newAuthentication(o.Config); err != nil {
		return misconfigured(err)
	}
	if err := checkSandboxMark(o.Config.DataDir, o.Sandbox); err != nil {
		return misconfigured(err)
	}
	if d.listeners, err = bindListeners(ctx, o.Log, o.Config, o.Sandbox); err != nil {
		return err
	}
	defer d.listeners.close()
	broken := d.listeners.serve(d.auth)
	return d.run(ctx, broken)
}

// run opens the engine and works until ctx ends or a listener breaks.
func (d *daemon) run(ctx context.Context, broken <-chan error) (err error) {
	if err := d.open(); err != nil {
		return err
	}
	clean := false
	defer func() {
		if err := d.engine.Close(clean); err != nil {
			d.log.Warn("cannot close the spool", zap.Error(err))
		}
	}()
	announce(d.log, d.config, d.listeners, d.auth.local)
	reload := d.manager.reloading(d.reload)
	d.listeners.admin.gate.open(d.console(reload))
	if err := d.start(ctx); err != nil {
		d.stop()
		return startAborted(ctx, d.log, err)
	}
	d.listeners.traffic.gate.open(d.handler)
	d.listeners.traffic.fastPath.SetFastPath(d.engine.FastPath)
	d.started.Store(true)
	d.group.Go("watch for reloads", d.watch(reload))
	d.manager.begin(d.statusLine)
	d.log.Info("ready", zap.Duration("after", time.Since(d.begun).Round(time.Millisecond)))
	if d.options.Sandbox {
		fmt.Fprint(d.options.Stdout, quickStart(d.listeners, d.messages.Load(), d.config.DataDir))
	}
	err = until(ctx, broken)
	clean = err == nil
	d.manager.stopping()
	d.end()
	linger(d.log, d.config.StopDelay, err, broken)
	d.stop()
	return err
}

// open makes the engine, and the handler that appends to it.
func (d *daemon) open() (err error) {
	if err := d.services.open(d); err != nil {
		return misconfigured(err)
	}
	if d.engine, err = openEngine(d); err != nil {
		if errors.As(err, new(*partition.OptionsError)) {
			return misconfigured(err)
		}
		return err
	}
	o := ingest.Options{
		Services: d.services.configured, Passthrough: d.config.Backend.Passthrough.On(), Journal: d.engine, Log: d.log.Named("ingest"),
		Other: d.engine.Authorizations, Tokens: d.auth.producers, Memory: d.listeners.memory, LateMargin: lateMargin(d.config),
	}
	if d.config.Backend.Passthrough == config.PassthroughVerify {
		o.Vouch = d.engine.Vouch
	}
	d.handler = ingest.NewHandler(o)
	d.compare.open(d)
	return nil
}

// start begins the work: first what consumes, then what produces.
func (d *daemon) start(ctx context.Context) error {
	d.services.start(d)
	d.compare.start(d)
	if err := d.engine.Start(ctx); err != nil {
		return err
	}
	m, err := d.openMessages(ctx)
	if err != nil {
		return err
	}
	d.messages.Store(m)
	return nil
}

// startAborted is what a start that did not come to its end returns: one that was told to stop has not failed.
func startAborted(ctx context.Context, log *zap.Logger, err error) error {
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
		return err
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

// stop mirrors the start, within stop_timeout: the listeners and NATS stop producing, then the engine makes its last cut and
// waits for reports in flight. Nothing depends on it but that a report that gets its answer need not be repeated.
func (d *daemon) stop() {
	begun, limit := time.Now(), d.config.StopTimeout
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	d.log.Info("stopping", zap.Duration("at_most", limit))
	d.end()

	// A request that is still being sent after a quarter of the time was not acknowledged: its sender repeats it. The rest of
	// the time belongs to the reports.
	requests, enough := context.WithTimeout(ctx, limit/4)
	d.listeners.traffic.shutdown(requests)
	d.messages.Load().stop(requests, d.log)
	enough()

	err := d.engine.Stop(ctx)
	_ = d.group.Stop(ctx) // the watch for reloads, the portal's catalogue and a comparison under way: nothing depends on them
	fields := []zap.Field{zap.Duration("took", time.Since(begun).Round(time.Millisecond)), zap.Uint64("pending", d.engine.Pending())}
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		d.log.Warn("stopped with reports in flight: they may be counted twice", fields...)
	case err != nil:
		d.log.Warn("stopped without a last cut: what was accepted is in the journal", append(fields, zap.Error(err))...)
	default:
		d.log.Info("stopped", fields...)
	}
}

// ready returns why the daemon cannot commit and accept, if it cannot.
func (d *daemon) ready() error {
	if d.ending.Err() != nil {
		return partition.ErrStopping
	}
	if err := d.engine.Ready(); err != nil {
		return err
	}
	if !d.started.Load() {
		return errStarting
	}
	return nil
}

// flush returns once what was accepted before is sealed and was tried, or ctx ends, or the daemon stops.
func (d *daemon) flush(ctx context.Context) ([]console.FlushedLane, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(d.ending, func() { cancel(partition.ErrStopping) })()
	lanes, err := d.engine.Flush(ctx)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return lanes, err
}

// order requeues or drops dead letters.
func (d *daemon) order(do partition.Action) func(context.Context, console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
	return func(ctx context.Context, o console.DeadLetterOrder) (console.DeadLetterOutcome, error) {
		return d.engine.Order(ctx, do, o)
	}
}
