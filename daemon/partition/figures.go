package partition

import (
	"context"
	"sync"
	"time"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/internal/histogram"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/spool"
)

// Snapshot returns the partition's figures for the console, with at most so many lanes named that are not of configured services.
// The daemon's figures, such as those of its listeners, are not included.
func (p *Partition) Snapshot(named int) console.Snapshot {
	usage, sent := p.usage.of(p.spool), p.sender.Stats()
	s := console.Snapshot{
		Events: console.Events(p.spool.Counts()),
		Spool:  space(usage),
		Commits: console.Commits{
			Groups: usage.Commits.Groups, Events: usage.Commits.Events, Bytes: usage.Commits.Bytes, Failed: usage.Commits.Failed,
			Waits: usage.Commits.Waits, Sizes: usage.Commits.Sizes,
		},
		Window:  p.window(),
		Reports: reports(sent),
		Proof:   p.proofs.figures(),

		Receipts:  receipts(sent.Receipts),
		Lanes:     lanes(p.sender.Lanes(named)),
		Strangers: p.journal.figures(),
		Latest:    console.Latest{Accepted: usage.Latest, Delivered: sent.Latest},

		Ledger:    p.ledger.figures(),
		Authorize: Authorizations(p.authorizer.Stats()),
	}
	s.Services, s.Others = p.credentials.ended(sent.Services)
	if oldest := p.batcher.Window().Oldest; !oldest.IsZero() {
		s.Spool.OldestAge = max(s.Spool.OldestAge, time.Since(oldest))
	}
	return s
}

// Events returns the counts of events, which balance.
func (p *Partition) Events() console.Events { return console.Events(p.spool.Counts()) }

// Whole is Snapshot: a partition on one machine is all there is.
func (p *Partition) Whole(_ context.Context, named int) console.Snapshot { return p.Snapshot(named) }

// usageFigures are the spool's figures of space. They take a walk over the lanes, under a lock that deliveries need: what took long
// is not repeated soon. The rest of the time the last ones are returned.
type usageFigures struct {
	mu    sync.Mutex // guards what follows; held while the figures are read
	last  spool.Usage
	again time.Time // when they are read again
}

const (
	usageQuick = 5 * time.Millisecond // figures that took less are read anew every time
	usageShare = 50                   // of the time, one part in so many is for reading figures that took longer
)

func (u *usageFigures) of(s *spool.Spool) spool.Usage {
	u.mu.Lock()
	defer u.mu.Unlock()
	if began := time.Now(); !began.Before(u.again) {
		u.last = s.Usage()
		if took := time.Since(began); took >= usageQuick {
			u.again = began.Add(took * usageShare)
		}
	}
	return u.last
}

func (p *Partition) window() console.Window {
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
		Seconds: s.Seconds, Saturated: s.Saturated, Clock: clock(s), Dead: make(map[string]console.Buried, len(s.Dead)),
	}
	for a, calls := range s.Answers {
		r.Answers = append(r.Answers, console.Answers{Verdict: a.Verdict, Status: a.Status, Calls: calls})
	}
	for reason, b := range s.Dead {
		r.Dead[reason] = console.Buried(b)
	}
	return r
}

func clock(s sender.Stats) console.Clock {
	return console.Clock{Known: s.Clock.Known, Own: s.Clock.Own, Ahead: s.Clock.Ahead(), Least: s.Clock.Least, Most: s.Clock.Most, Waiting: s.ClockWaiting}
}

func receipts(r sender.Receipted) console.Receipts {
	c := console.Receipts{On: r.On, Open: r.Open, Late: r.Late, Reads: r.Reads, Absent: r.Absent, Seconds: r.Seconds, Reports: map[string]uint64{}, Events: map[string]uint64{}}
	for _, e := range r.Named {
		c.Named = append(c.Named, console.NamedReport(e))
	}
	for end, n := range r.Ends {
		c.Reports[end], c.Events[end] = n.Reports, n.Events
	}
	return c
}

func space(u spool.Usage) console.Spool {
	return console.Spool{
		Bytes: u.Bytes, Quota: u.QuotaBytes, Free: u.FreeBytes, Quarantined: u.QuarantinedBytes,
		Replaced: boolInt(u.Replaced), Unkept: boolInt(u.ManifestFailing),
		Batches: u.Batches, Segments: u.Segments, OldestAge: u.OldestAge, Sync: u.Sync.String(),
		DeadLetters: u.DeadLetters, IDs: u.IDs, Fsyncs: u.Commits.Fsyncs,
		ReadErrors: u.ReadErrors, Unreadable: u.Unreadable != nil,
	}
}

func lanes(all []sender.LaneStatus) []console.Lane {
	out := make([]console.Lane, len(all))
	for i, l := range all {
		out[i] = console.Lane{
			Lanes: l.Lanes, ServiceID: l.ServiceID, PassedOn: l.PassedOn, State: string(l.State), Batches: l.Batches, Events: l.Events, LastError: l.LastError,
			Questioned: l.Questioned, Parked: l.Parked, ParkedEvents: l.ParkedEvents,
		}
		if !l.Questioning.IsZero() {
			out[i].Probation = max(0, time.Since(l.Questioning))
		}
		if !l.Oldest.IsZero() {
			out[i].OldestAge = time.Since(l.Oldest)
		}
	}
	return out
}

// Lanes returns the lanes of the partition, for the console, with at most so many named that are not of configured services.
func (p *Partition) Lanes(named int) []console.Lane { return lanes(p.sender.Lanes(named)) }

// Scraped resets the figures that count since the last scrape.
func (p *Partition) Scraped() { p.authorizer.Scraped() }

// Authorizations returns the figures of an authorizer, for the console.
func Authorizations(a authorize.Stats) console.Authorize {
	return console.Authorize{
		Answers: a.Answers, Granted: a.Granted, Denied: a.Denied,
		Calls:    histogram.Snapshot{Bounds: a.CallBounds, Counts: a.CallCounts, Count: a.Calls, Sum: a.CallTime.Seconds()},
		Failures: a.Failures, RefreshAhead: a.RefreshAhead,
		Entries: a.Entries, Denials: a.Denials, Bytes: a.Bytes, Evicted: a.Evicted,
		Applications: a.Applications, Unresolved: a.Unresolved, Untracked: a.Untracked,
		Reported: a.Reported, Refused: a.Refused, Unbilled: a.Unbilled,
		Overshoot: a.Overshoot, Unseen: a.Unseen, Behind: a.Behind, Forgotten: a.Forgotten, OldestAge: a.OldestAge,
	}
}

// boolInt returns 1 for true.
func boolInt(is bool) int {
	if is {
		return 1
	}
	return 0
}
