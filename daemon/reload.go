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
	"github.com/reporterd/reporterd/internal/lifecycle"
)

// reloads are where the configuration comes from, how often it was read again, and how that went.
type reloads struct {
	source  Source
	started *config.Config                // as read at the start
	latest  atomic.Pointer[config.Config] // as a reload took it last
	first   [sha256.Size]byte             // the fingerprint of the files it was read from at the start

	mu   sync.Mutex // guards what follows, and is held for the whole of a reload: there is one at a time
	last time.Time  // when it went well
	bad  bool       // the latest did not

	done, refused uint64 // how often it went well, and how often it did not
}

// begin notes what was read at the start. It comes before the files that the configuration names are opened.
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

// reloading reads the configuration again; removed are services that are meant to go.
type reloading func(removed []string) (console.Reloaded, error)

// provisioned is a configuration that was read and checked, with every file it names, and is not in force yet.
type provisioned struct {
	config *config.Config
	apply  func() // puts tokens, certificates and authorities in force; cannot fail
	answer console.Reloaded
	gone   []string // services that were configured before
}

// provisionLocked reads the configuration and the files it names again, and changes nothing. The error says what is wrong with
// them, without secrets; a configuration that looks cut off is one.
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
	next := &provisioned{config: c, apply: apply, gone: c.Removed(before)}
	next.answer.Applied, next.answer.NeedsRestart = c.Changes(r.started, before)
	return next, nil
}

// reload puts in force the services and their credentials, tokens, certificates, authorities and the log's level, as the files
// have them now: all of them, or with an error none. Everything else that has changed takes a restart, and the answer names it.
func (d *daemon) reload(removed []string) (console.Reloaded, error) {
	r := &d.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	next, err := r.provisionLocked(d.auth, removed)
	if r.bad = err != nil; err != nil {
		r.refused++
		d.log.Error("configuration not reloaded: the one before stays in force", zap.Error(err))
		return console.Reloaded{}, err
	}
	d.applyLocked(next)
	return next.answer, nil
}

// applyLocked puts a checked configuration in force, and logs what changed. Nothing in it can fail.
func (d *daemon) applyLocked(next *provisioned) {
	r := &d.reloads
	for _, w := range next.config.Warnings() {
		d.log.Warn(w)
	}
	if len(next.gone) > 0 {
		d.log.Warn("services removed from the configuration: from now on their usage is taken only with credentials of its own",
			zap.Strings("services", next.gone))
	}
	next.apply()
	d.messages.Load().recheck(d.log)
	r.latest.Store(next.config)
	if level, err := zapcore.ParseLevel(next.config.Log.Level); err == nil {
		r.source.Level.SetLevel(level)
	}
	changed := d.services.apply(d, eventServices(next.config.Services))
	r.last = time.Now()
	r.done++
	d.log.Info("services reloaded", zap.Int("services", len(next.config.Services)), zap.Strings("credentials_changed", changed),
		zap.Strings("applied", next.answer.Applied))
	if len(next.answer.NeedsRestart) > 0 {
		d.log.Warn("changed keys are not in force before a restart", zap.Strings("keys", next.answer.NeedsRestart))
	}
}

// watch reloads at every SIGHUP, and when a file has changed, until its context ends. What a reload returns is logged by it.
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
