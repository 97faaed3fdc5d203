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
	source Source
	latest atomic.Pointer[config.Config] // as read last
	first  [sha256.Size]byte             // the fingerprint of the files it was read from at the start

	mu   sync.Mutex // guards what follows, and lets one reload in at a time
	last time.Time  // when it went well
	bad  bool       // the latest did not

	done, refused uint64 // how often it went well, and how often it did not
}

// begin notes what was read at the start. It comes before the files that the configuration names are opened.
func (r *reloads) begin(s Source, c *config.Config) {
	r.source = s
	r.latest.Store(c)
	r.first = fingerprint(watched(s.File, c))
}

// read reads the configuration again.
func (r *reloads) read() (*config.Config, error) {
	c, err := r.source.Read()
	if err == nil {
		r.latest.Store(c)
	}
	return c, err
}

func (r *reloads) figures() console.Reload {
	r.mu.Lock()
	defer r.mu.Unlock()
	return console.Reload{Last: r.last, Failed: r.bad, Done: r.done, Refused: r.refused}
}

// reload reads the configuration again and puts in force its services and their credentials, tokens, certificates and the
// log's level. Everything else takes a restart. When something is wrong with it, what was in force stays so, and the error says
// what is wrong, without secrets.
func (d *daemon) reload() error {
	r := &d.reloads
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.read()
	if err == nil {
		err = d.auth.reload()
	}
	if r.bad = err != nil; err != nil {
		r.refused++
		d.log.Error("configuration not reloaded: the one before stays in force", zap.Error(err))
		return err
	}
	for _, w := range c.Warnings() {
		d.log.Warn(w)
	}
	if level, err := zapcore.ParseLevel(c.Log.Level); err == nil {
		r.source.Level.SetLevel(level)
	}
	changed := d.services.apply(d, eventServices(c.Services))
	r.last = time.Now()
	r.done++
	d.log.Info("services reloaded", zap.Int("services", len(c.Services)), zap.Strings("credentials_changed", changed))
	return nil
}

// watch reloads at every SIGHUP, and when a file has changed, until its context ends. What a reload returns is logged by it.
func (d *daemon) watch(reload func() error) func(context.Context) error {
	return func(ctx context.Context) error {
		defer lifecycle.OnHangup(func() { _ = reload() })()
		files := func() []string { return watched(d.reloads.source.File, d.reloads.latest.Load()) }
		return watchFiles(ctx, d.log, d.reloads.first, files, reload)
	}
}
