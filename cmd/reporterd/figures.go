package main

import (
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/spool"
)

func newConsole(log *zap.Logger, c *config.Config, p *pipeline, started time.Time, reload func() error) *console.Console {
	return console.New(console.Options{
		Build: build(), Started: started, Pprof: c.Admin.Pprof, Log: log.Named("console"),
		Snapshot: p.snapshot, Ready: p.ready, Degraded: p.messages.degraded, Flush: p.flush, Reload: reload,
		DeadLetters: p.deadLetters, DeadLetter: p.deadLetter,
		Parking: console.Parking{List: p.parked, Settle: p.unpark},
		Requeue: p.ordered(log.Named("deadletter"), requeue), Drop: p.ordered(log.Named("deadletter"), drop),
	})
}

// snapshot translates what the parts count into what the console shows.
func (p *pipeline) snapshot() console.Snapshot {
	window, usage, traffic := p.batcher.Window(), p.spool.Usage(), p.handler.Stats()
	reloaded, bad := p.reloads.figures()
	return console.Snapshot{
		Events: console.Events(p.spool.Counts()),
		Spool:  space(usage),
		Commits: console.Commits{
			Groups: usage.Commits.Groups, Events: usage.Commits.Events, Bytes: usage.Commits.Bytes, Failed: usage.Commits.Failed,
		},
		Window: console.Window{
			Transactions: window.Transactions, Events: window.Events,
			Cuts: window.Cuts, Batches: window.Batches, LastCut: window.LastCut,
		},
		Reports: reports(p.sender.Stats()),
		Proof:   p.vouching.figures(),
		Reload:  console.Reload{Last: reloaded, Failed: bad},
		Lanes:   lanes(p.sender.Lanes()),
		Traffic: []console.Traffic{transport("events", traffic.Events), transport("report", traffic.Reports), transport("nats", traffic.Messages)},

		NATS:      p.messages.figures(),
		Authorize: authorizations(p.authorizer.Stats()),
	}
}

func reports(s sender.Stats) console.Reports {
	return console.Reports{
		Calls: s.ReportCalls, Transactions: s.Transactions, InFlight: s.InFlight, Verdicts: s.Verdicts,
		Limit: s.Limit, BreakerOpen: s.BreakerOpen, Alone: s.Alone,
		Restamped: s.Restamped.Transactions, RestampedEvents: s.Restamped.Events,
	}
}

func space(u spool.Usage) console.Spool {
	return console.Spool{
		Bytes: u.Bytes, Quota: u.QuotaBytes, Free: u.FreeBytes, Quarantined: u.QuarantinedBytes,
		Batches: u.Batches, Segments: u.Segments, OldestAge: u.OldestAge, Sync: u.Sync.String(),
		DeadLetters: u.DeadLetters, IDs: u.IDs, Fsyncs: durations(u.Commits),
	}
}

func durations(c spool.Commits) console.Durations {
	d := console.Durations{Count: c.Syncs, Sum: time.Duration(c.Seconds * float64(time.Second))}
	for _, b := range c.Buckets {
		d.Bounds, d.Counts = append(d.Bounds, b.Seconds), append(d.Counts, b.Count)
	}
	return d
}

func lanes(all []sender.LaneStatus) []console.Lane {
	out := make([]console.Lane, len(all))
	for i, l := range all {
		out[i] = console.Lane{
			ServiceID: l.ServiceID, State: string(l.State), Batches: l.Batches, Events: l.Events, LastError: l.LastError,
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
		Calls:    console.Durations{Bounds: a.CallBounds, Counts: a.CallCounts, Count: a.Calls, Sum: a.CallTime},
		Failures: a.Failures, RefreshAhead: a.RefreshAhead,
		Entries: a.Entries, Denials: a.Denials, Bytes: a.Bytes, Evicted: a.Evicted,
		Applications: a.Applications, Untracked: a.Untracked,
		Reported: a.Reported, Refused: a.Refused, Unbilled: a.Unbilled,
		Overshoot: a.Overshoot, OldestAge: a.OldestAge,
	}
}
