package daemon

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/console/source"
	"github.com/reporterd/reporterd/gate"
	"github.com/reporterd/reporterd/internal/lifecycle"
)

// reloads is the source of the configuration, and the results of reloads.
type reloads struct {
	source  Source
	started *config.Config                // as read at the start
	latest  atomic.Pointer[config.Config] // as of the latest successful reload
	first   [sha256.Size]byte             // fingerprint of the files read at the start

	mu   sync.Mutex // guards the fields below; held during a reload, so there is one at a time
	last time.Time  // of the latest success
	bad  bool       // the latest reload failed

	done, refused uint64 // numbers of successes and failures
}

// begin records the configuration of the start. It is called before the files that it names are opened.
func (r *reloads) begin(s Source, c *config.Config) {
	r.source, r.started = s, c
	r.latest.Store(c)
	r.first = fingerprint(watched(s.File, c))
}

func (r *reloads) figures() console.Reload {
	r.mu.Lock()
	defer r.mu.Unlock()
	return console.Reload{Last: r.last, Failed: r.bad, Done: r.done, Refused: r.refused}
}

// reloading reloads the configuration; removed are services that are removed on purpose.
type reloading func(removed []string) (console.Reloaded, error)

// provisioned is a configuration that was read and checked, with every file it names, and is not applied yet.
type provisioned struct {
	config  *config.Config
	apply   func() // applies tokens, certificates and authorities; cannot fail
	sources []*source.Source
	gates   *gate.Services // nil without gate.listen
	answer  console.Reloaded
	gone    []string // services that are not configured any more
}

// provisionLocked reads the configuration and the files it names again, and changes nothing. The error says what is wrong with
// them, without secrets; a configuration that seems truncated is an error.
func (r *reloads) provisionLocked(g *authentication, removed []string) (*provisioned, error) {
	before := r.latest.Load()
	c, err := r.source.Read()
	if err == nil {
		err = c.Follows(before, removed)
	}
	if err != nil {
		return nil, err
	}
	apply, err := g.provision()
	if err != nil {
		return nil, err
	}
	list, err := readSources(r.started.SourcesFile())
	if err != nil {
		return nil, err
	}
	gates, err := readGate(r.started)
	if err != nil {
		return nil, err
	}
	next := &provisioned{config: c, apply: apply, sources: list, gates: gates, gone: c.Removed(before)}
	next.answer.Applied, next.answer.NeedsRestart = c.Changes(r.started, before)
	return next, nil
}

// reload applies the services and their credentials, tokens, certificates, authorities, sources and the log level from the files: all of
// them, or with an error none. All other changes need a restart, and the answer names them.
func (d *daemon) reload(removed []string) (console.Reloaded, error) {
	r := &d.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.provisionLocked(d.auth, removed)
	if r.bad = err != nil; err != nil {
		r.refused++
		d.log.Error("cannot reload the configuration, keeping the previous one", zap.Error(err))
		return console.Reloaded{}, err
	}
	d.applyLocked(next)
	return next.answer, nil
}

// applyLocked applies a checked configuration, and logs what changed. It cannot fail.
func (d *daemon) applyLocked(next *provisioned) {
	r := &d.reloads
	for _, w := range next.config.Warnings() {
		d.log.Warn(w)
	}
	if len(next.gone) > 0 {
		d.log.Warn("services removed from the configuration: their usage is accepted only with its own credentials from now on",
			zap.Strings("services", next.gone))
	}
	next.apply()
	d.messages.Load().recheck(d.log)
	d.sources.store.Apply(next.sources)
	if d.gate != nil && next.gates != nil {
		d.gate.Apply(next.gates)
	}
	r.latest.Store(next.config)
	if level, err := zapcore.ParseLevel(next.config.Log.Level); err == nil {
		r.source.Level.SetLevel(level)
	}
	changed := d.services.apply(d, eventServices(next.config.Services))
	d.rules.Again()
	r.last = time.Now()
	r.done++
	d.log.Info("services reloaded", zap.Int("services", len(next.config.Services)), zap.Strings("credentials_changed", changed),
		zap.Strings("applied", next.answer.Applied))
	if len(next.answer.NeedsRestart) > 0 {
		d.log.Warn("changed keys take effect after a restart", zap.Strings("keys", next.answer.NeedsRestart))
	}
}

// watch reloads at every SIGHUP, and when a file has changed, until its context ends. reload logs its own result.
func (d *daemon) watch(reload reloading) func(context.Context) error {
	again := func() error {
		_, err := reload(nil)
		return err
	}
	return func(ctx context.Context) error {
		defer lifecycle.OnHangup(func() { _ = again() })()
		files := func() []string { return watched(d.reloads.source.File, d.reloads.latest.Load()) }
		return watchFiles(ctx, d.log, d.reloads.first, files, again)
	}
}
