package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/reporterd/reporterd/ledger"
)

// sheet is the state of judging a service.
type sheet struct {
	*Books
	rules Rules
	sent  map[place]ledger.Figures // added up the hierarchy; with and without an application

	unresolved map[place]int64 // the same for batches that were not delivered, with an unknown outcome
	recorded   map[place]int64 // delivered by known batches; only filled if a witness needs it
	noWitness  map[place]bool  // applications and hours, without a metric, of batches without the witness
	explained  map[place]int64 // of the shown cells: by batches whose fate is certain
}

// otherApps stands for the applications that only other reporters report.
const otherApps = "(others)"

// Judge returns the verdict of every cell of a service, and the fates of batches.
func Judge(b *Books, rules Rules) ([]Cell, []Evidence) {
	s := &sheet{Books: b, rules: rules, sent: map[place]ledger.Figures{}, unresolved: map[place]int64{}, explained: map[place]int64{}, recorded: map[place]int64{}, noWitness: map[place]bool{}}
	for i := range b.Rows {
		r := &b.Rows[i]
		up(b.Parents, r.Metric, func(metric string) {
			for _, app := range [...]string{r.AppID, ""} {
				p := place{app, metric, r.Time.Unix()}
				f := s.sent[p]
				add(&f, r.Figures)
				s.sent[p] = f
			}
		})
	}
	for i := range b.Batches {
		s.addUnresolved(&b.Batches[i])
		s.record(&b.Batches[i])
	}
	var cells []Cell
	for p := range s.sent {
		if s.shown(p) {
			cells = append(cells, s.cell(p))
		}
	}
	cells = append(cells, s.foreignCells()...)
	fates := s.explain(cells)
	for i := range cells {
		s.judge(&cells[i])
		s.compareReceipts(&cells[i])
	}
	slices.SortFunc(cells, func(a, b Cell) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.AppID, b.AppID), cmp.Compare(a.Metric, b.Metric))
	})
	return cells, fates
}

// addUnresolved adds up what may have been counted of a batch that was not delivered.
func (s *sheet) addUnresolved(b *ledger.BatchRecord) {
	if b.Ambiguous == 0 || delivered(b) {
		return
	}
	for _, c := range b.Cells {
		up(s.Parents, c.Metric, func(metric string) {
			for _, app := range [...]string{c.AppID, ""} {
				s.unresolved[place{app, metric, c.Hour.Unix()}] += c.Ambiguous / int64(b.Ambiguous)
			}
		})
	}
}

// record adds up the delivered usage of a batch, and records the hours in which it has no witness usage.
func (s *sheet) record(b *ledger.BatchRecord) {
	if s.rules.Witness == "" || s.rules.Exclusive {
		return
	}
	witnessed := map[place]bool{}
	for _, c := range b.Cells {
		witnessed[place{c.AppID, "", c.Hour.Unix()}] = c.Metric == s.rules.Witness || witnessed[place{c.AppID, "", c.Hour.Unix()}]
		up(s.Parents, c.Metric, func(metric string) {
			for _, app := range [...]string{c.AppID, ""} {
				s.recorded[place{app, metric, c.Hour.Unix()}] += c.Delivered
			}
		})
	}
	for p, yes := range witnessed {
		if !yes {
			s.noWitness[p], s.noWitness[place{"", "", p.hour}] = true, true
		}
	}
}

// sole reports whether this daemon is the only reporter of a metric.
func (s *sheet) sole(metric string) bool {
	return s.rules.Exclusive || s.rules.Witness != "" && metric == s.rules.Witness
}

// unknown returns why a cell could not be requested; empty: it was.
func (s *sheet) unknown(c *Cell) string {
	if c.AppID == otherApps {
		return ""
	}
	return cmp.Or(s.Unknown[c.AppID], s.Unknown[c.Metric])
}

func add(f *ledger.Figures, o ledger.Figures) {
	f.Accepted += o.Accepted
	f.Delivered += o.Delivered
	f.Ambiguous += o.Ambiguous
	f.Dead += o.Dead
	f.Lost += o.Lost
	f.Partial += o.Partial
	f.Double += o.Double
	f.Unconfirmed += o.Unconfirmed
}

// drilled reports whether the applications of an hour and a metric were requested.
func (s *sheet) drilled(metric string, hour int64) bool {
	if f := s.sent[place{"", metric, hour}]; s.Counted[metric][hour] == f.Delivered {
		return false // the sums agree
	}
	for p := range s.sent {
		if p.app != "" && p.metric == metric && p.hour == hour {
			if _, asked := s.Apps[p.app][metric]; asked {
				return true
			}
		}
	}
	return false
}

// shown reports whether a cell gets a verdict: an application's if it was requested, the service's if no application was.
func (s *sheet) shown(p place) bool {
	f := s.sent[p]
	if f.Delivered == 0 && f.Ambiguous == 0 && f.Pending() == 0 {
		return false // all of it is dead: nothing should be counted
	}
	if p.app == "" {
		return !s.drilled(p.metric, p.hour)
	}
	_, asked := s.Apps[p.app][p.metric]
	_, refused := s.Unknown[p.app]
	return (asked || refused) && s.drilled(p.metric, p.hour)
}

func (s *sheet) cell(p place) Cell {
	f := s.sent[p]
	counted := s.Counted[p.metric][p.hour]
	if p.app != "" {
		counted = s.Apps[p.app][p.metric][p.hour]
	}
	hour := time.Unix(p.hour, 0).UTC()
	return Cell{
		ServiceID: s.ServiceID, Hour: hour, AppID: p.app, Metric: p.metric, Delivered: f.Delivered, Ambiguous: f.Ambiguous, Pending: f.Pending(),
		Counted: counted, Delta: counted - f.Delivered, ObservedAt: s.ObservedAt, SealedAt: hour.Add(time.Hour + s.rules.Seal),
		Partial: f.Partial, Double: f.Double, Unconfirmed: f.Unconfirmed,
	}
}

// foreignCells returns what is left of a service's hour without the applications that the ledger knows: usage of other reporters, or
// of applications that were deleted.
func (s *sheet) foreignCells() (cells []Cell) {
	for p := range s.sent {
		if p.app != "" || !s.drilled(p.metric, p.hour) {
			continue
		}
		rest := s.Counted[p.metric][p.hour]
		for q := range s.sent {
			if q.app != "" && q.metric == p.metric && q.hour == p.hour {
				rest -= s.own(q)
			}
		}
		if rest <= 0 {
			continue
		}
		c := s.cell(p)
		c.AppID, c.Delivered, c.Ambiguous, c.Pending = otherApps, 0, 0, 0
		c.Partial, c.Double, c.Unconfirmed = 0, 0, 0
		c.Counted, c.Delta = rest, rest
		cells = append(cells, c)
	}
	return cells
}

// own is what is counted of an application that the ledger knows. One that could not be asked about, as it was deleted, is taken to
// have what was delivered for it.
func (s *sheet) own(p place) int64 {
	if counted, asked := s.Apps[p.app][p.metric]; asked {
		return counted[p.hour]
	}
	return s.sent[p].Delivered
}

// judge sets the verdict. explain has added the evidence before.
func (s *sheet) judge(c *Cell) {
	sealed := !s.ObservedAt.Before(c.SealedAt)
	c.Final = sealed
	if why := s.unknown(c); why != "" {
		c.Verdict, c.Reason = Unverifiable, why
		return
	}
	left := c.Delta - s.explained[place{c.AppID, c.Metric, c.Hour.Unix()}]
	switch {
	case c.AppID == otherApps && s.sole(c.Metric):
		c.Verdict, c.Reason = Over, "usage of applications without delivered usage"
	case c.AppID == otherApps:
		c.Verdict, c.Reason = Covers, "other reporters report here as well"
	case c.Delta < 0 || has(c, Dropped):
		s.missing(c, sealed)
	case c.Delta == 0 && left == 0:
		c.Verdict = Match
		if !sealed && (c.Pending > 0 || s.ObservedAt.Before(c.Hour.Add(time.Hour))) {
			c.Verdict = Open
		}
	case !s.sole(c.Metric):
		s.shared(c)
	case left == 0 && has(c, Twice):
		c.Verdict, c.Reason = Over, "a batch is counted twice"
	case left == 0:
		c.Verdict, c.Reason = Match, "a report with an unknown outcome has landed"
	case has(c, Possible):
		c.Verdict, c.Reason = Unverifiable, "several batches could explain it"
	default:
		c.Verdict, c.Reason = Over, "more is counted than was delivered"
	}
	if sealed && c.Pending > 0 && c.Verdict != Short {
		c.Reason = cmp.Or(c.Reason, "some of the usage was not delivered")
	}
}

// shared sets the verdict if more is counted than was delivered, and other reporters may report as well.
func (s *sheet) shared(c *Cell) {
	c.Verdict, c.Reason = Covers, "other reporters may report here as well"
	if has(c, Twice) {
		c.Verdict, c.Reason = Over, "a batch is counted twice; other reporters may report here as well"
		return
	}
	w := place{c.AppID, s.rules.Witness, c.Hour.Unix()}
	if s.rules.Witness == "" || s.noWitness[place{c.AppID, "", w.hour}] || s.recorded[place{c.AppID, c.Metric, w.hour}] != c.Delivered {
		return
	}
	if c.AppID == "" || !s.drilled(w.metric, w.hour) {
		w.app = ""
	}
	if s.shown(w) && s.Unknown[w.metric] == "" && s.cell(w).Delta == s.explained[w] {
		c.Verdict, c.Reason = Match, "the witness metric agrees; other reporters report here as well"
	}
}

// missing sets the verdict of a cell with too little usage: whether more may follow.
func (s *sheet) missing(c *Cell, sealed bool) {
	ended := c.Hour.Add(time.Hour)
	switch {
	case sealed:
		c.Verdict, c.Reason = Short, "less is counted than was delivered"
		if c.Delta >= 0 {
			c.Reason = "a batch was dropped, and usage of other reporters hides it"
		}
	case s.ObservedAt.Before(ended):
		c.Verdict = Open
	case s.ObservedAt.After(ended.Add(s.rules.Quiet)) && s.ObservedAt.After(s.newest(c).Add(s.rules.Quiet)):
		c.Verdict, c.Reason = Suspect, "no further usage was counted for a while"
	default:
		c.Verdict, c.Reason = Settling, "seals "+c.SealedAt.Format("01-02 15:04Z")
	}
}

// newest returns when the latest batch with usage of a cell was sealed.
func (s *sheet) newest(c *Cell) (at time.Time) {
	for i := range s.Batches {
		b := &s.Batches[i]
		if b.Sealed.After(at) && slices.ContainsFunc(b.Cells, func(k ledger.BatchCell) bool { return k.Hour.Equal(c.Hour) && (c.AppID == "" || c.AppID == k.AppID) }) {
			at = b.Sealed
		}
	}
	return at
}

// has reports whether a batch of this fate is evidence of a cell.
func has(c *Cell, fate Fate) bool {
	return slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return e.Fate == fate })
}
