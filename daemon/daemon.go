// Package daemon runs reporterd from start to stop: it binds the listeners, opens the engine, accepts events by HTTP and NATS,
// serves the admin listener, reloads the configuration, and stops. It is the only package besides cli that uses the
// configuration.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/gate"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/internal/lifecycle"
)

// Options of Run.
type Options struct {
	Config  *config.Config
	Sandbox bool      // run with a stand-in backend
	Stdout  io.Writer // receives example commands, with Sandbox
	Build   console.Build
	Log     *zap.Logger
	Source  Source
}

// Source is the source of the configuration, for reloads.
type Source struct {
	File  string                         // may be empty
	Read  func() (*config.Config, error) // reads it again
	Level zap.AtomicLevel                // of Log
}

// ConfigurationError is an error in the configuration: a retry without a change is useless.
type ConfigurationError struct{ Err error }

// Error returns the text of Err.
func (e *ConfigurationError) Error() string { return e.Err.Error() }

// Unwrap returns the error.
func (e *ConfigurationError) Unwrap() error { return e.Err }

func misconfigured(err error) error {
	if err == nil {
		return nil
	}
	return &ConfigurationError{err}
}

// errStarting is the reason why a daemon that has not opened its listeners is not ready.
var errStarting = errors.New("starting: events are not accepted yet")

// daemon is one run of the daemon.
type daemon struct {
	log       *zap.Logger
	config    *config.Config // as read at the start
	options   Options
	begun     time.Time
	auth      *authentication
	listeners *listeners
	engine    engine
	handler   *ingest.Handler // accepts events
	services  services        // the services in effect
	compare   comparison
	sources   sources
	history   *console.History
	gate      *gate.Handler            // answers proxies; nil without gate.listen
	rules     *gate.Keeper             // of the portal, for gate; nil without gate.portal
	analytics func() *analyticsAPI     // 3scale's APIs from the ledger, which has to be open
	messages  atomic.Pointer[messages] // NATS; nil: not used
	reloads   reloads
	manager   *serviceManager
	group     lifecycle.Group // the goroutines besides the engine's

	started atomic.Bool        // events are accepted
	ending  context.Context    // cancelled when the daemon begins to stop
	end     context.CancelFunc // ends ending
}

// Run runs the daemon until ctx ends and everything is stopped; it returns nil then. Otherwise it returns a *ConfigurationError,
// or another error.
func Run(ctx context.Context, o Options) error {
	floor := newHeapFloor()
	defer runtime.KeepAlive(floor)
	defer limitMemory(o.Log, o.Config)()
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

// run opens the engine and works until ctx ends or a listener fails.
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
	d.sources.admin = d.console(reload)
	d.listeners.admin.gate.open(d.behind(d.config.Limits.MaxAdminConnectionsPerAddress, d.sources.admin))
	d.listeners.openReader(&d.sources)
	if err := d.start(ctx); err != nil {
		d.stop()
		return startAborted(ctx, d.log, err)
	}
	d.listeners.traffic.gate.open(d.behind(d.config.Limits.MaxConnectionsPerAddress, d.withHealth(d.handler)))
	d.listeners.traffic.fastPath.SetFastPath(d.engine.FastPath)
	if err := d.listeners.openProxies(ctx, d.log, d.config, d.withHealth(d.answers()), d.gate.Plain); err != nil {
		d.stop()
		return err
	}
	d.started.Store(true)
	d.group.Go("watch for reloads", d.watch(reload))
	d.group.Go("history of the counters", func(ctx context.Context) error { d.history.Run(ctx); return nil })
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
	o.Admit = d.engine.Admit
	o.Vouch, o.Trust = d.engine.Vouch, d.config.Backend.Passthrough == config.PassthroughTrust
	d.handler = ingest.NewHandler(o)
	d.compare.open(d)
	d.analytics = sync.OnceValue(d.newAnalyticsAPI)
	return errors.Join(d.sources.open(d), d.openGate())
}

// start starts first the consumers of events, then the producers.
func (d *daemon) start(ctx context.Context) error {
	d.services.start(d)
	d.compare.start(d)
	d.startRules()
	if err := d.engine.Start(ctx); err != nil {
		return err
	}
	m, err := d.openMessages(ctx)
	if err != nil {
		return err
	}
	d.messages.Store(m)
	d.sources.start(d)
	return nil
}

// startAborted returns the result of a start that was interrupted: if ctx has ended, that is not a failure.
func startAborted(ctx context.Context, log *zap.Logger, err error) error {
	if ctx.Err() == nil {
		return err
	}
	log.Info("stopped before it was ready")
	return nil
}

// until returns nil when the daemon is asked to stop, or the error of a listener that fails.
func until(ctx context.Context, broken <-chan error) error {
	select {
	case <-ctx.Done():
		return nil
	case err := <-broken:
		return err
	}
}

// linger continues to accept events for a while after the order to stop, when the daemon is not ready any more: load balancers
// send their traffic elsewhere in that time. A listener that fails, before or during that time, ends it.
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
		log.Error("a listener failed while stopping", zap.Error(err))
	}
}

// stop stops the parts in the reverse order of the start, within stop_timeout: the listeners and NATS stop producing, then the
// engine makes its last cut and waits for reports in flight. A report whose answer arrives in that time does not have to be
// repeated; nothing else depends on it.
func (d *daemon) stop() {
	begun, limit := time.Now(), d.config.StopTimeout
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	d.log.Info("stopping", zap.Duration("at_most", limit))
	d.end()

	// A request that is still being received after a quarter of the time is not acknowledged: its sender retries it. The rest of
	// the time is for the reports.
	requests, enough := context.WithTimeout(ctx, limit/4)
	if d.listeners.proxies != nil {
		d.listeners.proxies.shutdown(requests)
	}
	d.listeners.traffic.shutdown(requests)
	d.messages.Load().stop(requests, d.log)
	enough()

	err := d.engine.Stop(ctx)
	_ = d.group.Stop(ctx) // watch for reloads, portal catalogue, comparison: no data depends on them
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

// ready returns why the daemon cannot commit and accept events, or nil.
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

// flush returns once everything accepted before is sealed and a report of it was tried, or ctx ends, or the daemon stops.
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
