package main

import (
	"context"
	"crypto/tls"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/sandbox"
)

// doors are the daemon's listeners.
type doors struct {
	traffic, admin *listener
	sandbox        *listener // nil without --sandbox
	backend        string    // where reports go: the sandbox, or what is configured
}

// bindDoors binds every listener before anything else is done. Nothing is answered before serve.
func bindDoors(ctx context.Context, log *zap.Logger, c *config.Config, sandboxed bool) (*doors, error) {
	secure, err := trafficTLS(c.TLS)
	if err != nil {
		return nil, misuse(err)
	}
	d := &doors{backend: c.Backend.URL}
	if d.traffic, err = bind(ctx, log, "traffic", c.Listen, trafficServer(log, secure)); err != nil {
		return nil, failed(err)
	}
	d.traffic.express = ingest.NewListener(d.traffic.bound)
	d.traffic.bound, d.traffic.server.ConnState = d.traffic.express, d.traffic.express.State
	if d.admin, err = bind(ctx, log, "admin", c.Admin.Listen, adminServer(log)); err != nil {
		d.close()
		return nil, failed(err)
	}
	if !sandboxed {
		return d, nil
	}
	if d.sandbox, err = bind(ctx, log, "sandbox", c.Sandbox.Listen, sandbox.NewServer(sandbox.New(sandbox.Options{}))); err != nil {
		d.close()
		return nil, failed(err)
	}
	d.backend = d.sandbox.curl()
	return d, nil
}

// sandboxURL is where the sandbox is that runs here; empty: none does.
func (d *doors) sandboxURL() string {
	if d.sandbox == nil {
		return ""
	}
	return d.sandbox.curl()
}

func trafficServer(log *zap.Logger, secure *tls.Config) *http.Server {
	s := ingest.NewServer(new(gate), log)
	s.TLSConfig = secure
	return s
}

// adminServer bounds what an operator's client may send and how slowly. There is no bound on answers:
// a profile takes as long as it was asked to.
func adminServer(log *zap.Logger) *http.Server {
	s := ingest.NewServer(new(gate), log)
	s.MaxHeaderBytes = 64 << 10
	s.ReadTimeout = 10 * time.Second
	return s
}

// serve answers on every listener, each in a goroutine that close ends. The channel gets the error of a
// listener that stops by itself.
func (d *doors) serve() <-chan error {
	broken := make(chan error, 3)
	for _, l := range d.all() {
		go func() {
			if err := l.serve(); err != nil {
				broken <- err
			}
		}()
	}
	return broken
}

// close ends every listener at once: what matters was shut down before.
func (d *doors) close() {
	at := context.Background()
	at, cancel := context.WithTimeout(at, time.Second)
	defer cancel()
	for _, l := range d.all() {
		l.shutdown(at)
	}
}

func (d *doors) all() []*listener {
	var all []*listener
	for _, l := range []*listener{d.traffic, d.admin, d.sandbox} {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}
