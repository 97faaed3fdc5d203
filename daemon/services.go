package daemon

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/portal"
)

// catalogueEvery is how often the portal's catalogue is read. It rarely changes, and reading it may take hundreds of calls.
const catalogueEvery = time.Hour

// services contains the configured services in effect, and the portal's catalogue of them.
type services struct {
	book     *portal.Book // nil: no portal
	validate bool         // check metrics against the catalogue
	witness  witness

	mu         sync.Mutex // held while services are applied; guards configured
	configured []event.Service
}

// open makes the book of the catalogue, which is read later. Its error is about the configuration.
func (s *services) open(d *daemon) error {
	s.configured = eventServices(d.config.Services)
	s.validate = d.config.Portal.Validate
	s.witness.metric, s.witness.log = d.config.Reconcile.Witness, d.log.Named("reconcile")
	if d.config.Portal.URL == "" {
		return nil
	}
	client, err := NewPortal(d.config, d.options.Build, d.listeners.sandboxURL())
	if err != nil {
		return err
	}
	d.compare.portal = client
	s.book = portal.NewBook(client, ledger.ApplicationName, d.log.Named("portal"))
	return nil
}

// start reads the catalogue, now and every catalogueEvery, until the daemon stops.
func (s *services) start(d *daemon) {
	if s.book == nil {
		return
	}
	d.group.Go("portal catalogue", func(ctx context.Context) error {
		s.book.Run(ctx, catalogueEvery, func() { s.catalogueRead(d) })
		return nil
	})
}

// apply applies a new list to the handler and the engine, and returns the ids whose credentials have changed, sorted.
func (s *services) apply(d *daemon, list []event.Service) (changed []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.configured = list
	withMetrics := s.withMetricsLocked()
	d.handler.SetServices(withMetrics)
	changed = d.engine.Apply(withMetrics)
	s.book.Again()
	slices.Sort(changed)
	return changed
}

// catalogueRead applies the catalogue after it was read.
func (s *services) catalogueRead(d *daemon) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.witness.look(s.book, s.configured)
	if s.validate {
		withMetrics := s.withMetricsLocked()
		d.handler.SetServices(withMetrics)
		d.engine.SetMetrics(withMetrics)
	}
}

// withMetricsLocked returns the configured services. A service without configured metrics gets those of the portal's catalogue,
// if it has the service.
func (s *services) withMetricsLocked() []event.Service {
	if !s.validate {
		return s.configured
	}
	list := slices.Clone(s.configured)
	for i := range list {
		if len(list[i].Metrics) > 0 {
			continue
		}
		for _, m := range s.book.Metrics(list[i].ID) {
			list[i].Metrics = append(list[i].Metrics, m.SystemName)
		}
	}
	return list
}

// ids returns the configured services in the order of the file.
func (s *services) ids() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	ids := make([]string, len(s.configured))
	for i := range ids {
		ids[i] = s.configured[i].ID
	}
	return ids
}

// parents returns the metric hierarchy of a service from the portal.
func (s *services) parents(service string) map[string]string { return s.book.Parents(service) }

// witnessOf returns the function by which the batcher looks up the witness metric of a service; nil if none is configured.
func (s *services) witnessOf() func(service string) string {
	if s.witness.metric == "" {
		return nil
	}
	return func(service string) string { return s.witness.of(s.book, service) }
}
