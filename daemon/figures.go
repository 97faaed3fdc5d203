package daemon

import (
	"context"
	"net/http"
	"path/filepath"
	"slices"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/daemon/partition"
	"github.com/reporterd/reporterd/ingest"
)

// console makes the admin listener's handler.
func (d *daemon) console(reload reloading) *console.Console {
	d.history = console.NewHistory(func(lanes int) console.Snapshot { return d.whole(d.ending, lanes) }, // of all replicas, as the figures beside it
		console.HistoryOptions{File: filepath.Join(d.config.DataDir, "history"), Log: d.log.Named("console")})
	return console.New(console.Options{
		History: d.history,
		Build:   d.options.Build, Started: d.begun, Pprof: d.config.Admin.Pprof, Log: d.log.Named("console"), Tokens: d.auth.operators, Hosts: d.config.Admin.HostNames(), Closed: d.config.AdminClosed(), Insecure: d.config.Insecure,
		Snapshot: d.snapshot, Whole: d.whole, Scraped: d.engine.Scraped, Ready: d.ready, Flush: d.flush, Reload: reload,
		Degraded:    func() []string { return slices.Concat(d.messages.Load().degraded(), d.engine.Degraded()) },
		Routes:      slices.Concat(d.ledgerRoutes(), d.compare.routes(d), d.analyticsRoutes(), d.sources.routes(d)),
		Offers:      d.offers(),
		DeadLetters: d.engine.DeadLetters, DeadLetter: d.engine.DeadLetter,
		Requeue: d.order(partition.Requeue), Drop: d.order(partition.Drop),
		Parking: console.Parking{List: d.engine.Parked, One: d.engine.ParkedReport, Settle: d.engine.Settle},
		Names:   d.names,
	})
}

// snapshot returns the figures of the engine and of the daemon, with at most so many lanes named that are not of configured services.
func (d *daemon) snapshot(lanes int) console.Snapshot { return d.complete(d.engine.Snapshot(lanes)) }

// whole returns the figures of the engine over all replicas, and those of this daemon.
func (d *daemon) whole(ctx context.Context, lanes int) console.Snapshot {
	return d.complete(d.engine.Whole(ctx, lanes))
}

// complete adds the daemon's figures to those of the engine.
func (d *daemon) complete(s console.Snapshot) console.Snapshot {
	traffic := d.handler.Stats()
	s.Traffic = []console.Traffic{transport("events", traffic.Events), transport("report", traffic.Reports), transport("nats", traffic.Messages)}
	s.Held = console.Held{Bytes: traffic.Held, Limit: traffic.MostHeld}
	s.Reload, s.NATS, s.Connections = d.reloads.figures(), d.messages.Load().figures(), d.auth.connections()
	s.Reconcile, s.Gate = d.compare.figures(), d.gateFigures()
	s.Sources = d.sources.figures()
	return s
}

// statusLine describes the state of the daemon, for the service manager.
func (d *daemon) statusLine() string {
	s := d.snapshot(0)
	return statusLine(d.ready(), s.Events.Pending, s.Events.Dead, s.Spool.OldestAge)
}

func transport(name string, t ingest.Traffic) console.Traffic {
	return console.Traffic{Transport: name, Requests: t.Requests, Events: t.Events, Bytes: t.Bytes}
}

// ledgerRoutes returns the ledger's routes of the admin listener.
func (d *daemon) ledgerRoutes() []console.Route {
	return []console.Route{{Pattern: "GET /api/v1/ledger", Scope: access.Read, Handler: http.HandlerFunc(d.serveLedger)}}
}

// serveLedger answers from the ledger, if it is open.
func (d *daemon) serveLedger(w http.ResponseWriter, r *http.Request) {
	switch l := d.engine.Ledger(); {
	case l != nil:
		l.ServeHTTP(w, r)
	case d.engine.KeepsLedger():
		ledgerNotOpen(w, r)
	default:
		noLedger(w, r)
	}
}

// ledgerNotOpen answers while the ledger cannot be opened.
func ledgerNotOpen(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "5")
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"title":"Service Unavailable","status":503,"detail":"cannot open ledger.db, retrying: the log has the reason"}` + "\n"))
}

// noLedger answers if no ledger is kept.
func noLedger(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(http.StatusNotImplemented)
	_, _ = w.Write([]byte(`{"title":"Not Implemented","status":501,"detail":"there is no ledger here: ledger.enabled is false"}` + "\n"))
}

// offers returns the names of the parts of the page that the ledger and the comparison fill.
func (d *daemon) offers() (names []string) {
	if d.engine.KeepsLedger() {
		names = append(names, "ledger")
	}
	return append(names, d.compare.offers()...)
}
