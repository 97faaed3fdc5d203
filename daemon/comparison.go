package daemon

import (
	"context"
	"net/http"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger/reconcile"
	"github.com/reporterd/reporterd/threescale/portal"
)

// comparison compares the ledger with 3scale's counts.
type comparison struct {
	portal *portal.Client    // nil: none is configured
	keeper *reconcile.Keeper // nil: there is no ledger or no portal
	leads  func() bool       // whether this replica compares for all
}

// open makes the keeper, if there are a portal and a ledger.
func (r *comparison) open(d *daemon) {
	c, l := d.config, d.engine.Ledger()
	if r.portal == nil || l == nil {
		return
	}
	r.leads = d.engine.Leads
	r.keeper = reconcile.NewKeeper(reconcile.Options{
		Ledger: l, Portal: r.portal, Since: c.Reconcile.Since, Rules: ReconcileRules(c),
		Every: c.Reconcile.Every, Log: d.log.Named("reconcile"),
		Turn:      r.leads,
		OnMissing: func(m reconcile.Missing) { d.engine.Doubt(m.ServiceID, m.Applications, m.Metrics) },
	})
}

// start compares every reconcile.every, until the daemon stops.
func (r *comparison) start(d *daemon) {
	if r.keeper == nil || d.config.Reconcile.Every == 0 {
		return
	}
	d.group.Go("reconcile", func(ctx context.Context) error {
		r.keeper.Run(ctx)
		return nil
	})
}

func (r *comparison) figures() *console.Reconcile {
	if r.keeper == nil || !r.leads() {
		return nil
	}
	s := r.keeper.Stats()
	out := &console.Reconcile{
		Runs: s.Runs, Failed: s.Failed, Stopped: s.Stopped, Calls: s.Calls, Missing: s.Missing, Excess: s.Excess, Skew: s.Skew.Seconds(), Cells: map[string]int{},
		Receipts: map[string]int{},
	}
	for a, n := range s.Receipts {
		out.Receipts[string(a)] = n
	}
	for v, n := range s.Summary {
		out.Cells[string(v)] = n
	}
	if !s.ObservedAt.IsZero() {
		out.ObservedAt, out.SealedThrough = s.ObservedAt.Unix(), s.SealedThrough.Unix()
	}
	return out
}

// routes returns its routes of the admin listener. The replica that compares for all answers.
func (r *comparison) routes(d *daemon) []console.Route {
	answer := http.Handler(http.HandlerFunc(notCompared))
	if r.keeper != nil {
		answer = d.engine.Led("reconcile", r.keeper)
	}
	return []console.Route{
		{Pattern: "GET /api/v1/reconcile", Scope: access.Read, Handler: answer},
		{Pattern: "POST /api/v1/reconcile", Scope: access.Write, Handler: answer},
		{Pattern: "POST /api/v1/portal/check", Scope: access.Write, Handler: &checkUp{portal: r.portal, ids: d.services.ids}},
	}
}

func (r *comparison) offers() (names []string) {
	if r.portal != nil {
		names = append(names, "portal")
	}
	if r.keeper != nil {
		names = append(names, "reconcile")
	}
	return names
}

// notCompared answers when there is no comparison.
func notCompared(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusNotImplemented)
	_, _ = w.Write([]byte(`{"title":"Not Implemented","status":501,"detail":"there is no comparison: it needs portal.url and a ledger"}` + "\n"))
}
