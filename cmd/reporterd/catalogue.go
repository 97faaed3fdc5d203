package main

import (
	"context"
	"maps"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/portal"
)

// catalogueEvery is how often the portal's catalogue is read. It changes seldom, and reading it may take hundreds of
// calls.
const catalogueEvery = time.Hour

// catalogue is what the portal knows of services, metrics and applications; empty without a portal.
type catalogue struct {
	book *portal.Book
	part *part
}

func (k *catalogue) begin(log *zap.Logger, client *portal.Client) {
	k.book = portal.NewBook(client, ledger.ApplicationName, log)
	running := launch(func(ctx context.Context) error {
		k.book.Run(ctx, catalogueEvery)
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
