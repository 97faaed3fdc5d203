package main

import (
	"os"
	"os/signal"
	"slices"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
)

// reader reads the configuration again, from where it came from.
type reader func() (*config.Config, error)

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

// reload reads the configuration again and puts its services and their credentials in force. All else
// takes a restart. When something is wrong with it, what was in force stays so, and the error says what
// is wrong, without secrets.
func (p *pipeline) reload(log *zap.Logger, again reader) error {
	p.reloads.mu.Lock()
	defer p.reloads.mu.Unlock()
	c, err := again()
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
	changed := p.openings.set(c.Services)
	p.handler.SetServices(takenServices(c.Services))
	p.authorizer.SetServices(askedServices(c.Services))
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
