package cli

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/portal"
)

// catalogueEvery is how often the portal's catalogue is read. It changes seldom, and reading it may take hundreds of
// calls.
const catalogueEvery = time.Hour

// catalogue is what the portal knows of services, metrics and applications; empty without a portal.
type catalogue struct {
	book *portal.Book
	part *part
}

func (k *catalogue) begin(log *zap.Logger, client *portal.Client, read func()) {
	k.book = portal.NewBook(client, ledger.ApplicationName, log)
	running := launch(func(ctx context.Context) error {
		k.book.Run(ctx, catalogueEvery, read)
		return nil
	})
	k.part = &running
}

func (k *catalogue) stop(ctx context.Context) {
	if k.part != nil {
		_ = k.part.stop(ctx)
	}
}

// parents is the hierarchy of a service's metrics: what the portal says, and where it says nothing what the backend
// told when applications were authorized.
func (p *pipeline) parents(service string) map[string]string {
	told, known := p.authorizer.Parents(service), p.compare.names.book.Parents(service)
	if len(known) == 0 {
		return told
	}
	all := maps.Clone(told)
	if all == nil {
		return known
	}
	maps.Copy(all, known)
	return all
}

// takeServices puts the configured services in force at the door. reloads.mu is held.
func (p *pipeline) takeServices(list []config.Service) {
	p.configured = list
	if p.validate {
		list = slices.Clone(list)
		for i := range list {
			if len(list[i].Metrics) > 0 {
				continue
			}
			for _, m := range p.compare.names.book.Metrics(list[i].ID) {
				list[i].Metrics = append(list[i].Metrics, m.SystemName)
			}
		}
	}
	p.handler.SetServices(takenServices(list))
	p.authorizer.SetServices(askedServices(list))
}

// learn has the door know what the catalogue says, once it was read.
func (p *pipeline) learn() {
	p.reloads.mu.Lock()
	defer p.reloads.mu.Unlock()
	p.witness.look(p.compare.names.book, p.configured)
	if p.validate {
		p.takeServices(p.configured)
	}
}
