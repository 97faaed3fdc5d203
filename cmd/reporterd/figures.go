package main

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/histogram"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/spool"
)

func newConsole(log *zap.Logger, c *config.Config, p *pipeline, started time.Time, reload func() error) *console.Console {
	return console.New(console.Options{
		Build: build(), Started: started, Pprof: c.Admin.Pprof, Log: log.Named("console"),
		Snapshot: p.snapshot, Scraped: p.authorizer.Scraped, Ready: p.ready, Degraded: p.messages.degraded, Flush: p.flush, Reload: reload,
		Tokens: p.guards.operators, Routes: slices.Concat(p.books.routes(), p.compare.routes(), analyticsRoutes(log, c, p)),
		Offers:      append(p.books.offers(), p.compare.offers()...),
		DeadLetters: p.deadLetters, DeadLetter: p.deadLetter,
		Parking: console.Parking{List: p.parked, Settle: p.unpark},
		Requeue: p.ordered(log.Named(recordName), requeue), Drop: p.ordered(log.Named(recordName), drop),
	})
}

// snapshot translates what the parts count into what the console shows.
func (p *pipeline) snapshot() console.Snapshot {
	usage, traffic, sent := p.spool.Usage(), p.handler.Stats(), p.sender.Stats()
	s := console.Snapshot{
		Events: console.Events(p.spool.Counts()),
		Spool:  space(usage),
		Commits: console.Commits{
			Groups: usage.Commits.Groups, Events: usage.Commits.Events, Bytes: usage.Commits.Bytes, Failed: usage.Commits.Failed,
			Waits: usage.Commits.Waits, Sizes: usage.Commits.Sizes,
		},
		Window:  p.window(),
		Reports: reports(sent),
		Proof:   p.vouching.figures(),
		Reload:  p.reloads.figures(),
		Lanes:   lanes(p.sender.Lanes()),
		Traffic: []console.Traffic{transport("events", traffic.Events), transport("report", traffic.Reports), transport("nats", traffic.Messages)},
		Held:    console.Held{Bytes: traffic.Held, Limit: traffic.MostHeld},
		Latest:  console.Latest{Accepted: usage.Latest, Delivered: sent.Latest},

		NATS:      p.messages.figures(),
		Ledger:    p.books.figures(),
		Reconcile: p.compare.figures(),

		Connections: p.guards.connections(),
		Authorize:   authorizations(p.authorizer.Stats()),
	}
	s.Services, s.Others = p.openings.figures(sent.Services)
	if oldest := p.batcher.Window().Oldest; !oldest.IsZero() {
		s.Spool.OldestAge = max(s.Spool.OldestAge, time.Since(oldest))
	}
	return s
}

func (p *pipeline) window() console.Window {
	w, s := p.batcher.Window(), p.batcher.Sealing()
	return console.Window{
		Transactions: w.Transactions, Events: w.Events, Cuts: w.Cuts, Batches: w.Batches, LastCut: w.LastCut,
		Times: s.Times, Ages: s.Ages, Fill: console.Fill{Transactions: s.Transactions, Params: s.Params, Bytes: s.Bytes},
	}
}

func reports(s sender.Stats) console.Reports {
	r := console.Reports{
		Calls: s.ReportCalls, Transactions: s.Transactions, InFlight: s.InFlight, Verdicts: s.Verdicts,
		Limit: s.Limit, BreakerOpen: s.BreakerOpen, Alone: s.Alone,
		Restamped: s.Restamped.Transactions, RestampedEvents: s.Restamped.Events,
		Seconds: s.Seconds, Saturated: s.Saturated, Skew: s.Skew, Dead: make(map[string]console.Buried, len(s.Dead)),
	}
	for a, calls := range s.Answers {
		r.Answers = append(r.Answers, console.Answers{Verdict: a.Verdict, Status: a.Status, Calls: calls})
	}
	for reason, b := range s.Dead {
		r.Dead[reason] = console.Buried(b)
	}
	return r
}

func space(u spool.Usage) console.Spool {
	return console.Spool{
		Bytes: u.Bytes, Quota: u.QuotaBytes, Free: u.FreeBytes, Quarantined: u.QuarantinedBytes,
		Batches: u.Batches, Segments: u.Segments, OldestAge: u.OldestAge, Sync: u.Sync.String(),
		DeadLetters: u.DeadLetters, IDs: u.IDs, Fsyncs: u.Commits.Fsyncs,
		ReadErrors: u.ReadErrors, Unreadable: u.Unreadable != nil,
	}
}

func lanes(all []sender.LaneStatus) []console.Lane {
	out := make([]console.Lane, len(all))
	for i, l := range all {
		out[i] = console.Lane{
			ServiceID: l.ServiceID, PassedOn: l.PassedOn, State: string(l.State), Batches: l.Batches, Events: l.Events, LastError: l.LastError,
			Questioned: l.Questioned, Parked: l.Parked, ParkedEvents: l.ParkedEvents,
		}
		if !l.Oldest.IsZero() {
			out[i].OldestAge = time.Since(l.Oldest)
		}
	}
	return out
}

func transport(name string, t ingest.Traffic) console.Traffic {
	return console.Traffic{Transport: name, Requests: t.Requests, Events: t.Events, Bytes: t.Bytes}
}

func authorizations(a authorize.Stats) console.Authorize {
	return console.Authorize{
		Answers: a.Answers, Granted: a.Granted, Denied: a.Denied,
		Calls:    histogram.Snapshot{Bounds: a.CallBounds, Counts: a.CallCounts, Count: a.Calls, Sum: a.CallTime.Seconds()},
		Failures: a.Failures, RefreshAhead: a.RefreshAhead,
		Entries: a.Entries, Denials: a.Denials, Bytes: a.Bytes, Evicted: a.Evicted,
		Applications: a.Applications, Untracked: a.Untracked,
		Reported: a.Reported, Refused: a.Refused, Unbilled: a.Unbilled,
		Overshoot: a.Overshoot, Unseen: a.Unseen, OldestAge: a.OldestAge,
	}
}
