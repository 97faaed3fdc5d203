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

	mu   sync.Mutex // guards what follows, and lets one reload in at a time
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

// readLocked reads the configuration and the files it names again, and notes what a reload changes. When something is wrong
// with it, or it looks cut off, what was in force stays so, and the error says what is wrong, without secrets.
func (r *reloads) readLocked(log *zap.Logger, g *authentication, removed []string) (*config.Config, console.Reloaded, error) {
	before := r.latest.Load()
	c, err := r.source.Read()
	if err == nil {
		err = c.Follows(before, removed)
	}
	if err == nil {
		err = g.reload()
	}
	if r.bad = err != nil; err != nil {
		r.refused++
		log.Error("configuration not reloaded: the one before stays in force", zap.Error(err))
		return nil, console.Reloaded{}, err
	}
	for _, w := range c.Warnings() {
		log.Warn(w)
	}
	if gone := c.Removed(before); len(gone) > 0 {
		log.Warn("services removed from the configuration: from now on their usage is taken only with credentials of its own",
			zap.Strings("services", gone))
	}
	r.latest.Store(c)
	if level, err := zapcore.ParseLevel(c.Log.Level); err == nil {
		r.source.Level.SetLevel(level)
	}
	done := console.Reloaded{}
	done.Applied, done.NeedsRestart = c.Changes(r.started, before)
	return c, done, nil
}

// reload puts in force the services and their credentials, tokens, certificates, authorities and the log's level, as the files
// have them now. Everything else that has changed takes a restart, and the answer names it.
func (d *daemon) reload(removed []string) (console.Reloaded, error) {
	r := &d.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	c, done, err := r.readLocked(d.log, d.auth, removed)
	if err != nil {
		return done, err
	}
	changed := d.services.apply(d, eventServices(c.Services))
	r.last = time.Now()
	r.done++
	d.log.Info("services reloaded", zap.Int("services", len(c.Services)), zap.Strings("credentials_changed", changed),
		zap.Strings("applied", done.Applied))
	if len(done.NeedsRestart) > 0 {
		d.log.Warn("changed keys are not in force before a restart", zap.Strings("keys", done.NeedsRestart))
	}
	return done, nil
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
