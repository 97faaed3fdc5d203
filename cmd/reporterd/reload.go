package main

import (
	"crypto/sha256"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
)

// origin is where the configuration came from, and what a reload needs beside it.
type origin struct {
	read    func() (*config.Config, error)
	file    string // may be empty
	level   zap.AtomicLevel
	manager *supervision

	started *config.Config                // as read at the start
	latest  atomic.Pointer[config.Config] // as a reload took it last
	first   [sha256.Size]byte             // the fingerprint of the files it was read from at the start
}

// begin notes what was read at the start. It comes before the files that the configuration names are opened.
func (o *origin) begin(c *config.Config) {
	o.started = c
	o.latest.Store(c)
	o.first = fingerprint(watched(o.file, c))
}

// attend reloads at every SIGHUP, and when a file has changed, and tells the service manager how the daemon is. The
// returned function ends all of that.
func (o *origin) attend(log *zap.Logger, reload reloading, line func() string) (end func()) {
	again := func() error {
		_, err := reload(nil)
		return err
	}
	unhook := onHangup(again)
	unwatch := onChange(log, o.first, func() []string { return watched(o.file, o.latest.Load()) }, again)
	o.manager.begin(line)
	return func() {
		unwatch()
		unhook()
	}
}

// reloads is how often the services were read again, and how that went. Its zero value: never.
type reloads struct {
	mu   sync.Mutex // guards what follows, and lets one reload in at a time
	last time.Time  // when it went well
	bad  bool       // the latest did not

	done, refused uint64 // how often it went well, and how often it did not
}

func (r *reloads) figures() console.Reload {
	r.mu.Lock()
	defer r.mu.Unlock()
	return console.Reload{Last: r.last, Failed: r.bad, Done: r.done, Refused: r.refused}
}

// reloading reads the configuration again; removed are services that are meant to go.
type reloading func(removed []string) (console.Reloaded, error)

// read reads the configuration and the files it names again, and notes what a reload changes. When something is wrong
// with it, or it looks cut off, what was in force stays so, and the error says what is wrong, without secrets. mu is held.
func (r *reloads) read(log *zap.Logger, o *origin, g *guards, removed []string) (*config.Config, console.Reloaded, error) {
	before := o.latest.Load()
	c, err := o.read()
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
	o.latest.Store(c)
	if level, err := zapcore.ParseLevel(c.Log.Level); err == nil {
		o.level.SetLevel(level)
	}
	done := console.Reloaded{}
	done.Applied, done.NeedsRestart = c.Changes(o.started, before)
	return c, done, nil
}

// succeeded counts and logs a reload. mu is held.
func (r *reloads) succeeded(log *zap.Logger, c *config.Config, done console.Reloaded, changed []string) {
	r.last = time.Now()
	r.done++
	log.Info("services reloaded", zap.Int("services", len(c.Services)), zap.Strings("credentials_changed", changed),
		zap.Strings("applied", done.Applied))
	if len(done.NeedsRestart) > 0 {
		log.Warn("changed keys are not in force before a restart", zap.Strings("keys", done.NeedsRestart))
	}
}

// reload puts in force the services and their credentials, tokens, certificates, authorities and the log's level, as the
// files have them now. What else has changed takes a restart.
func (p *pipeline) reload(log *zap.Logger, o *origin, removed []string) (console.Reloaded, error) {
	p.reloads.mu.Lock()
	defer p.reloads.mu.Unlock()
	c, done, err := p.reloads.read(log, o, p.guards, removed)
	if err != nil {
		return done, err
	}
	changed := p.openings.set(c.Services)
	p.takeServices(c.Services)
	p.compare.names.book.Again()
	for _, s := range c.Services { // also where nothing changed here: something may have been put right there
		p.sender.Kick(s.ID)
	}
	slices.Sort(changed)
	p.reloads.succeeded(log, c, done, changed)
	return done, nil
}

// onHangup reloads at every SIGHUP. The returned function ends that.
func onHangup(reload func() error) (end func()) {
	signals, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() { // ends with end
		for {
			select {
			case <-signals:
				_ = reload() // it is logged, and nobody waits for the answer
			case <-ended:
				return
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(ended)
	}
}
