package console

import (
	"cmp"
	"slices"
)

// Plus adds the figures of another spool of the same daemon.
func (s Snapshot) Plus(o Snapshot) Snapshot {
	s.Events = s.Events.plus(o.Events)
	s.Spool = s.Spool.plus(o.Spool)
	c := &s.Commits
	c.Groups, c.Events, c.Bytes, c.Failed = c.Groups+o.Commits.Groups, c.Events+o.Commits.Events, c.Bytes+o.Commits.Bytes, c.Failed+o.Commits.Failed
	c.Waits, c.Sizes = c.Waits.Plus(o.Commits.Waits), c.Sizes.Plus(o.Commits.Sizes)
	s.Window = s.Window.plus(o.Window)
	s.Reports = s.Reports.plus(o.Reports)
	s.Receipts = s.Receipts.plus(o.Receipts)
	s.Proof.Known, s.Proof.Waiting = s.Proof.Known+o.Proof.Known, s.Proof.Waiting+o.Proof.Waiting
	s.Proof.Asked, s.Proof.Failed = s.Proof.Asked+o.Proof.Asked, s.Proof.Failed+o.Proof.Failed
	s.Latest = Latest{max(s.Latest.Accepted, o.Latest.Accepted), max(s.Latest.Delivered, o.Latest.Delivered)}
	s.Authorize = s.Authorize.plus(o.Authorize)
	s.Strangers = s.Strangers.plus(o.Strangers)
	s.Ledger = s.Ledger.plus(o.Ledger)
	s.Services, s.Others = servicesPlus(s.Services, o.Services), s.Others.plus(o.Others)
	return s
}

func (e Ended) plus(o Ended) Ended { return Ended{e.Delivered + o.Delivered, e.Dead + o.Dead} }

// servicesPlus adds up the figures of the same service. Services of b only come last.
func servicesPlus(a, b []Service) []Service {
	sum, at := slices.Clone(a), make(map[string]int, len(a))
	for i := range sum {
		at[sum[i].ID] = i
	}
	for _, s := range b {
		if i, ok := at[s.ID]; ok {
			sum[i].Ended = sum[i].Ended.plus(s.Ended)
		} else {
			at[s.ID] = len(sum)
			sum = append(sum, s)
		}
	}
	return sum
}

func (e Events) plus(o Events) Events {
	return Events{
		Accepted: e.Accepted + o.Accepted, Duplicates: e.Duplicates + o.Duplicates, Delivered: e.Delivered + o.Delivered, Dead: e.Dead + o.Dead,
		Pending: e.Pending + o.Pending, Ambiguous: e.Ambiguous + o.Ambiguous, Lost: e.Lost + o.Lost,
	}
}

func (s Spool) plus(o Spool) Spool {
	return Spool{
		Bytes: s.Bytes + o.Bytes, Quota: s.Quota + o.Quota, Free: s.Free + o.Free, Quarantined: s.Quarantined + o.Quarantined,
		Replaced: s.Replaced + o.Replaced, Unkept: s.Unkept + o.Unkept,
		Batches: s.Batches + o.Batches, Segments: s.Segments + o.Segments, OldestAge: max(s.OldestAge, o.OldestAge),
		DeadLetters: s.DeadLetters + o.DeadLetters, IDs: s.IDs + o.IDs, Sync: s.Sync, Fsyncs: s.Fsyncs.Plus(o.Fsyncs),
		ReadErrors: added(s.ReadErrors, o.ReadErrors), Unreadable: s.Unreadable || o.Unreadable,
	}
}

func (w Window) plus(o Window) Window {
	return Window{
		Transactions: w.Transactions + o.Transactions, Events: w.Events + o.Events, Cuts: w.Cuts + o.Cuts, Batches: w.Batches + o.Batches,
		LastCut: max(w.LastCut, o.LastCut), Times: w.Times.Plus(o.Times), Ages: w.Ages.Plus(o.Ages),
		Fill: Fill{w.Fill.Transactions.Plus(o.Fill.Transactions), w.Fill.Params.Plus(o.Fill.Params), w.Fill.Bytes.Plus(o.Fill.Bytes)},
	}
}

func (r Reports) plus(o Reports) Reports {
	r.Calls, r.Transactions, r.InFlight = r.Calls+o.Calls, r.Transactions+o.Transactions, r.InFlight+o.InFlight
	r.Verdicts = added(r.Verdicts, o.Verdicts)
	calls := map[Answers]uint64{}
	for _, a := range append(append([]Answers(nil), r.Answers...), o.Answers...) {
		calls[Answers{Verdict: a.Verdict, Status: a.Status}] += a.Calls
	}
	r.Answers = nil
	for a, n := range calls {
		a.Calls = n
		r.Answers = append(r.Answers, a)
	}
	dead := make(map[string]Buried, len(r.Dead)+len(o.Dead))
	for _, m := range []map[string]Buried{r.Dead, o.Dead} {
		for reason, b := range m {
			dead[reason] = Buried{dead[reason].Transactions + b.Transactions, dead[reason].Events + b.Events}
		}
	}
	r.Dead, r.Seconds, r.Saturated = dead, r.Seconds.Plus(o.Seconds), r.Saturated+o.Saturated
	r.Clock, r.Limit, r.BreakerOpen = r.Clock.plus(o.Clock), r.Limit+o.Limit, r.BreakerOpen || o.BreakerOpen
	r.Alone, r.Restamped, r.RestampedEvents = r.Alone+o.Alone, r.Restamped+o.Restamped, r.RestampedEvents+o.RestampedEvents
	return r
}

func (a Authorize) plus(o Authorize) Authorize {
	return Authorize{
		Answers: added(a.Answers, o.Answers), Granted: a.Granted + o.Granted, Denied: added(a.Denied, o.Denied), Calls: a.Calls.Plus(o.Calls),
		Failures: a.Failures + o.Failures, RefreshAhead: a.RefreshAhead + o.RefreshAhead, Entries: a.Entries + o.Entries,
		Denials: a.Denials + o.Denials, Bytes: a.Bytes + o.Bytes, Evicted: a.Evicted + o.Evicted, Applications: a.Applications + o.Applications, Unresolved: a.Unresolved + o.Unresolved,
		Untracked: a.Untracked + o.Untracked, Reported: a.Reported + o.Reported, Refused: a.Refused + o.Refused, Unbilled: a.Unbilled + o.Unbilled,
		Overshoot: max(a.Overshoot, o.Overshoot), Unseen: max(a.Unseen, o.Unseen), Behind: max(a.Behind, o.Behind), Forgotten: a.Forgotten + o.Forgotten, OldestAge: max(a.OldestAge, o.OldestAge),
	}
}

func (l *Ledger) plus(o *Ledger) *Ledger {
	if l == nil || o == nil {
		return cmp.Or(l, o)
	}
	sum := &Ledger{
		Booked: l.Booked + o.Booked, Behind: l.Behind + o.Behind, Bytes: l.Bytes + o.Bytes, Missed: l.Missed || o.Missed, Stopped: l.Stopped || o.Stopped,
		GivenUp: l.GivenUp + o.GivenUp, SetAside: l.SetAside + o.SetAside, Earliest: l.Earliest,
		Usage: append(slices.Clone(l.Usage), o.Usage...), // partitions share no service; the family adds up what is alike
	}
	if sum.Earliest == 0 || o.Earliest != 0 && o.Earliest < sum.Earliest {
		sum.Earliest = o.Earliest
	}
	return sum
}

func added(a, b map[string]uint64) map[string]uint64 {
	sum := make(map[string]uint64, len(a)+len(b))
	for _, m := range []map[string]uint64{a, b} {
		for name, n := range m {
			sum[name] += n
		}
	}
	return sum
}
