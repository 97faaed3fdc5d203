package cli

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

	latest atomic.Pointer[config.Config] // as read last
	first  [sha256.Size]byte             // the fingerprint of the files it was read from at the start
}

// begin notes what was read at the start. It comes before the files that the configuration names are opened.
func (o *origin) begin(c *config.Config) {
	o.latest.Store(c)
	o.first = fingerprint(watched(o.file, c))
}

// again reads the configuration again.
func (o *origin) again() (*config.Config, error) {
	c, err := o.read()
	if err == nil {
		o.latest.Store(c)
	}
	return c, err
}

// adopt puts in force what is not the services'.
func (o *origin) adopt(c *config.Config) {
	if level, err := zapcore.ParseLevel(c.Log.Level); err == nil {
		o.level.SetLevel(level)
	}
}

// attend reloads at every SIGHUP, and when a file has changed, and tells the service manager how the daemon is. The
// returned function ends all of that.
func (o *origin) attend(log *zap.Logger, reload func() error, line func() string) (end func()) {
	unhook := onHangup(reload)
	unwatch := onChange(log, o.first, func() []string { return watched(o.file, o.latest.Load()) }, reload)
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

// reload reads the configuration again and puts in force its services and their credentials, tokens, certificates and the
// log's level. All else takes a restart. When something is wrong with it, what was in force stays so, and the error says what
// is wrong, without secrets.
func (p *pipeline) reload(log *zap.Logger, o *origin) error {
	p.reloads.mu.Lock()
	defer p.reloads.mu.Unlock()
	c, err := o.again()
	if err == nil {
		err = p.guards.reload()
	}
	if p.reloads.bad = err != nil; err != nil {
		p.reloads.refused++
		log.Error("configuration not reloaded: the one before stays in force", zap.Error(err))
		return err
	}
	for _, w := range c.Warnings() {
		log.Warn(w)
	}
	o.adopt(c)
	changed := p.openings.set(c.Services)
	p.takeServices(c.Services)
	p.compare.names.book.Again()
	for _, s := range c.Services { // also where nothing changed here: something may have been put right there
		p.sender.Kick(s.ID)
	}
	p.reloads.last = time.Now()
	p.reloads.done++
	slices.Sort(changed)
	log.Info("services reloaded", zap.Int("services", len(c.Services)), zap.Strings("credentials_changed", changed))
	return nil
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
