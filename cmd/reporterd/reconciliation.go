package main

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/reconcile"
)

// reconciliation holds the ledger against 3scale's counts.
type reconciliation struct {
	keeper *reconcile.Keeper // nil: there is no ledger, or no portal
	part   *part
	names  catalogue
}

// rulesOf are the configuration's.
func rulesOf(c *config.Config) reconcile.Rules {
	return reconcile.Rules{Exclusive: c.Reconcile.Exclusive, Witness: c.Reconcile.Witness, Seal: c.Reconcile.Seal, Quiet: c.Reconcile.Quiet}
}

// begin compares now and then; sandbox is the address of the one that runs here, if one does. Its error is about the
// configuration.
func (r *reconciliation) begin(log *zap.Logger, c *config.Config, l *ledger.Ledger, sandbox string, read func()) error {
	if c.Portal.URL == "" {
		return nil
	}
	client, err := newPortal(c, sandbox)
	if err != nil {
		return err
	}
	r.names.begin(log.Named("portal"), client, read)
	if l == nil {
		return nil
	}
	r.keeper = reconcile.NewKeeper(reconcile.Options{Ledger: l, Portal: client, Since: c.Reconcile.Since, Rules: rulesOf(c)}, c.Reconcile.Every, log)
	if c.Reconcile.Every > 0 {
		running := launch(func(ctx context.Context) error {
			r.keeper.Run(ctx)
			return nil
		})
		r.part = &running
	}
	return nil
}

// keepBooks opens the ledger, and holds it against 3scale's counts now and then. Its error is about the configuration.
func (p *pipeline) keepBooks(log *zap.Logger, c *config.Config, sandbox string) error {
	p.configured, p.validate = c.Services, c.Portal.Validate
	p.books.begin(log.Named("ledger"), c, p.spool, p.parents)
	return p.compare.begin(log.Named("reconcile"), c, p.books.opened.Load(), sandbox, p.learn)
}

// stop ends a comparison under way.
func (r *reconciliation) stop(ctx context.Context) {
	r.names.stop(ctx)
	if r.part != nil {
		_ = r.part.stop(ctx)
	}
}

func (r *reconciliation) figures() *console.Reconcile {
	if r.keeper == nil {
		return nil
	}
	s := r.keeper.Stats()
	out := &console.Reconcile{
		Runs: s.Runs, Failed: s.Failed, Stopped: s.Stopped, Calls: s.Calls, Missing: s.Missing, Excess: s.Excess, Skew: s.Skew.Seconds(), Cells: map[string]int{},
	}
	for v, n := range s.Summary {
		out.Cells[string(v)] = n
	}
	if !s.ObservedAt.IsZero() {
		out.ObservedAt, out.SealedThrough = s.ObservedAt.Unix(), s.SealedThrough.Unix()
	}
	return out
}

// routes are what of the admin listener is about it.
func (r *reconciliation) routes() []console.Route {
	answer := http.Handler(http.HandlerFunc(notCompared))
	if r.keeper != nil {
		answer = r.keeper
	}
	return []console.Route{
		{Pattern: "GET /api/v1/reconcile", Scope: access.Read, Handler: answer},
		{Pattern: "POST /api/v1/reconcile", Scope: access.Write, Handler: answer},
	}
}

func (r *reconciliation) offers() []string {
	if r.keeper == nil {
		return nil
	}
	return []string{"reconcile"}
}

// notCompared answers where nothing is.
func notCompared(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusNotImplemented)
	_, _ = w.Write([]byte(`{"title":"Not Implemented","status":501,"detail":"nothing is compared here: it needs portal.url and a ledger"}` + "\n"))
}
