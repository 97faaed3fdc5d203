package reconcile

import (
	"cmp"
	"slices"
	"time"

	"github.com/reporterd/reporterd/ledger"
)

// sheet is a service while it is judged.
type sheet struct {
	*Books
	rules Rules
	sent  map[place]ledger.Figures // added up the hierarchy; with and without an application

	doubtful  map[place]int64 // of the same: of batches that were not delivered, with an unknown outcome
	recorded  map[place]int64 // delivered, of the batches that are known, where a witness needs it
	bare      map[place]bool  // applications and hours, without a metric: of batches without the witness
	explained map[place]int64 // of the cells that are shown: by batches whose fate is certain
}

// others are the applications that only other reporters report.
const others = "(others)"

// Judge says of every cell of a service how ledger and counts agree, and of batches what became of them.
func Judge(b *Books, rules Rules) ([]Cell, []Evidence) {
	s := &sheet{Books: b, rules: rules, sent: map[place]ledger.Figures{}, doubtful: map[place]int64{}, explained: map[place]int64{}, recorded: map[place]int64{}, bare: map[place]bool{}}
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
		s.doubt(&b.Batches[i])
		s.record(&b.Batches[i])
	}
	var cells []Cell
	for p := range s.sent {
		if s.shown(p) {
			cells = append(cells, s.cell(p))
		}
	}
	cells = append(cells, s.strangers()...)
	fates := s.explain(cells)
	for i := range cells {
		s.judge(&cells[i])
	}
	slices.SortFunc(cells, func(a, b Cell) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.AppID, b.AppID), cmp.Compare(a.Metric, b.Metric))
	})
	return cells, fates
}

// doubt adds up what may have been counted of a batch that was not delivered.
func (s *sheet) doubt(b *ledger.BatchRecord) {
	if b.Ambiguous == 0 || delivered(b) {
		return
	}
	for _, c := range b.Cells {
		up(s.Parents, c.Metric, func(metric string) {
			for _, app := range [...]string{c.AppID, ""} {
				s.doubtful[place{app, metric, c.Hour.Unix()}] += c.Ambiguous / int64(b.Ambiguous)
			}
		})
	}
}

// record adds up what is known of a batch that was taken, and notes the hours that its witness does not vouch for.
func (s *sheet) record(b *ledger.BatchRecord) {
	if s.rules.Witness == "" || s.rules.Exclusive {
		return
	}
	vouched := map[place]bool{}
	for _, c := range b.Cells {
		vouched[place{c.AppID, "", c.Hour.Unix()}] = c.Metric == s.rules.Witness || vouched[place{c.AppID, "", c.Hour.Unix()}]
		up(s.Parents, c.Metric, func(metric string) {
			for _, app := range [...]string{c.AppID, ""} {
				s.recorded[place{app, metric, c.Hour.Unix()}] += c.Delivered
			}
		})
	}
	for p, yes := range vouched {
		if !yes {
			s.bare[p], s.bare[place{"", "", p.hour}] = true, true
		}
	}
}

// sole reports whether this daemon is the only reporter of a metric.
func (s *sheet) sole(metric string) bool {
	return s.rules.Exclusive || s.rules.Witness != "" && metric == s.rules.Witness
}

// unknown is why a cell could not be asked for; empty: it was.
func (s *sheet) unknown(c *Cell) string {
	if c.AppID == others {
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
}

// drilled reports whether the applications of an hour and a metric were asked for.
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

// shown reports whether a cell is judged: an application's where it was asked for, the service's where none was.
func (s *sheet) shown(p place) bool {
	f := s.sent[p]
	if f.Delivered == 0 && f.Ambiguous == 0 && f.Pending() == 0 {
		return false // all of it is dead: nothing is to be counted
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
	}
}

// strangers are what is left of a service's hour when the applications that the ledger knows are taken away: usage that
// other reporters reported, or of applications that were deleted.
func (s *sheet) strangers() (cells []Cell) {
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
		c.AppID, c.Delivered, c.Ambiguous, c.Pending = others, 0, 0, 0
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

// judge says the verdict, after explain has attached the evidence.
func (s *sheet) judge(c *Cell) {
	sealed := !s.ObservedAt.Before(c.SealedAt)
	c.Final = sealed
	if why := s.unknown(c); why != "" {
		c.Verdict, c.Reason = Unverifiable, why
		return
	}
	left := c.Delta - s.explained[place{c.AppID, c.Metric, c.Hour.Unix()}]
	switch {
	case c.AppID == others && s.sole(c.Metric):
		c.Verdict, c.Reason = Over, "usage of applications that nothing was delivered for"
	case c.AppID == others:
		c.Verdict, c.Reason = Covers, "others report here, too"
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
		c.Verdict, c.Reason = Unverifiable, "several batches would explain it"
	default:
		c.Verdict, c.Reason = Over, "more is counted than was delivered"
	}
	if sealed && c.Pending > 0 && c.Verdict != Short {
		c.Reason = cmp.Or(c.Reason, "some of it was never delivered")
	}
}

// shared says the verdict where more is counted than was delivered, and other reporters may report, too.
func (s *sheet) shared(c *Cell) {
	c.Verdict, c.Reason = Covers, "others may report here, too"
	if has(c, Twice) {
		c.Verdict, c.Reason = Over, "a batch is counted twice; others may report here, too"
		return
	}
	w := place{c.AppID, s.rules.Witness, c.Hour.Unix()}
	if s.rules.Witness == "" || s.bare[place{c.AppID, "", w.hour}] || s.recorded[place{c.AppID, c.Metric, w.hour}] != c.Delivered {
		return
	}
	if c.AppID == "" || !s.drilled(w.metric, w.hour) {
		w.app = ""
	}
	if s.shown(w) && s.Unknown[w.metric] == "" && s.cell(w).Delta == s.explained[w] {
		c.Verdict, c.Reason = Match, "the witness metric agrees; others report here, too"
	}
}

// missing says of a cell with too little whether there is still hope.
func (s *sheet) missing(c *Cell, sealed bool) {
	ended := c.Hour.Add(time.Hour)
	switch {
	case sealed:
		c.Verdict, c.Reason = Short, "less is counted than was delivered"
		if c.Delta >= 0 {
			c.Reason = "a batch of it was dropped, and other usage hides it"
		}
	case s.ObservedAt.Before(ended):
		c.Verdict = Open
	case s.ObservedAt.After(ended.Add(s.rules.Quiet)) && s.ObservedAt.After(s.newest(c).Add(s.rules.Quiet)):
		c.Verdict, c.Reason = Suspect, "nothing has come for a while"
	default:
		c.Verdict, c.Reason = Settling, "seals "+c.SealedAt.Format("01-02 15:04Z")
	}
}

// newest is when the latest batch with usage of a cell was sealed.
func (s *sheet) newest(c *Cell) (at time.Time) {
	for i := range s.Batches {
		b := &s.Batches[i]
		if b.Sealed.After(at) && slices.ContainsFunc(b.Cells, func(k ledger.BatchCell) bool { return k.Hour.Equal(c.Hour) && (c.AppID == "" || c.AppID == k.AppID) }) {
			at = b.Sealed
		}
	}
	return at
}

// has reports whether a batch of this fate is part of a cell.
func has(c *Cell, fate Fate) bool {
	return slices.ContainsFunc(c.Evidence, func(e Evidence) bool { return e.Fate == fate })
}
