package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/batcher"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// pipeline is the way of an event: handler, spool, batcher, sender.
type pipeline struct {
	handler *ingest.Handler
	spool   *spool.Spool
	batcher *batcher.Batcher
	witness witness
	sender  *sender.Sender

	authorizer *authorize.Authorizer // beside it: asks, and counts what goes by
	vouching   *vouching             // and finds out what may share a report
	openings   openings              // of the configured services
	reloads    reloads
	configured []config.Service // as read last; reloads.mu guards it
	validate   bool             // the portal's catalogue says which metrics there are
	guards     *guards          // who may send and who may look
	books      bookkeeping      // the ledger
	compare    reconciliation
	messages   *messages // what comes by NATS; nil: nothing does

	unreadable unreadable

	life     context.Context    // ends when the daemon begins to stop
	stopping context.CancelFunc // ends life
	batching part               // the batcher's Run, begun by start and ended by stop
	sending  part               // the sender's
	asking   part               // the prober's
	watching part               // says when the data directory cannot be read
}

// part is something that runs until it is told to end.
type part struct {
	end  context.CancelFunc
	done chan error // holds what it returned
}

func launch(run func(context.Context) error) part {
	ctx, end := context.WithCancel(context.Background())
	p := part{end: end, done: make(chan error, 1)}
	go func() { p.done <- run(ctx) }()
	return p
}

// stop tells the part to end and returns what it returned, or the context's error when that ends first.
func (p part) stop(ctx context.Context) error {
	p.end()
	select {
	case err := <-p.done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func newPipeline(log *zap.Logger, c *config.Config, s *spool.Spool, client *threescale.Client,
	auth *authorize.Authorizer, v *vouching, g *guards,
) *pipeline {
	p := &pipeline{spool: s, authorizer: auth, vouching: v, guards: g, unreadable: unreadable{log: log.Named("spool"), why: s.Unreadable}}
	p.life, p.stopping = context.WithCancel(context.Background())
	p.handler = ingest.NewHandler(ingest.Options{
		Services: takenServices(c.Services), Passthrough: c.Backend.Passthrough, Journal: auth, Log: log.Named("ingest"), Other: auth.Handler,
		Tokens: g.producers,
	})
	p.witness.metric, p.witness.log = c.Reconcile.Witness, log.Named("reconcile")
	p.batcher = batcher.New(s, batcher.Options{
		Witness:       p.witnessed(),
		FlushInterval: c.Batch.FlushInterval, MaxTransactions: c.Batch.MaxTransactions, MaxParams: c.Batch.MaxParams,
		MaxBytes: int(c.Batch.MaxBytes), Aggregate: c.Batch.Aggregate, Trouble: sayTrouble(log.Named("batcher")),
	})
	p.openings.set(c.Services)
	o := sender.Options{
		MaxInFlight: c.Sender.MaxInFlight, Restamp: c.Sender.Expired == "restamp", Sending: p.reportSent, Settled: p.reportSettled,
		Proofs: v.proofs, Prober: v.prober,
	}
	if c.Sender.OnAmbiguous == "park" {
		o.OnAmbiguous = sender.ParkAmbiguous
	}
	p.sender = sender.New(s, client, p.openings.of, log.Named("sender"), o)
	return p
}

// start begins to batch and to send; stop ends both.
func (p *pipeline) start() {
	p.batching = launch(p.batcher.Run)
	p.sending = launch(p.sender.Run)
	p.asking = launch(p.vouching.run)
	p.watching = launch(p.unreadable.watch)
}

// stop makes the last cut, then waits for the answers of the reports in flight. It returns an error when
// there was no last cut, or ctx ended first; everything acknowledged is on disk either way.
func (p *pipeline) stop(ctx context.Context) error {
	cut, asked := p.batching.stop(ctx), p.asking.stop(ctx)
	return errors.Join(cut, p.sending.stop(ctx), asked, p.watching.stop(ctx))
}

var errStopping = errors.New(console.Stopping)

// ready returns why the daemon cannot commit and accept, if it cannot.
func (p *pipeline) ready() error {
	if p.life.Err() != nil {
		return errStopping
	}
	return p.spool.Ready()
}

// flush returns once what was accepted before is sealed and was tried, or ctx ends, or the daemon stops.
func (p *pipeline) flush(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(p.life, func() { cancel(errStopping) })()
	upTo, err := p.batcher.Flush(ctx)
	if err == nil {
		err = p.sender.Tried(ctx, upTo)
	}
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

func newClient(c *config.Config, backend string) (*threescale.Client, error) {
	trusted, err := authorities("backend.ca_file", c.Backend.CAFile)
	if err != nil {
		return nil, err
	}
	client, err := threescale.NewClient(threescale.ClientOptions{
		URL: backend, Timeout: c.Backend.Timeout, RootCAs: trusted, MaxConns: c.Sender.MaxInFlight,
		UserAgent: "reporterd/" + version,
	})
	if err != nil {
		return nil, fmt.Errorf("backend.url: %w", err)
	}
	return client, nil
}

// sayTrouble logs that cutting fails when it begins, and that it works again when it does.
func sayTrouble(log *zap.Logger) func(batcher.Trouble) {
	return func(t batcher.Trouble) {
		if t.Err != nil {
			log.Error("cannot seal batches: events stay in the journal, and it is tried again", zap.Error(t.Err))
			return
		}
		log.Info("batches are sealed again", zap.Duration("after", t.Lasted.Round(time.Millisecond)), zap.Int("failures", t.Failures))
	}
}
