package reconcile

import (
	"slices"

	"github.com/reporterd/reporterd/ledger"
)

// suspect is a batch with what may have become of it other than what was booked.
type suspect struct {
	batch    *ledger.BatchRecord
	seen     []place // the cells that are shown and that it has a part of
	outcomes []outcome
}

// outcome is one way in which the counts may differ from the books because of a batch.
type outcome struct {
	fate   Fate
	drops  int
	change map[place]int64 // of the cells that count as proof
}

// explain finds whole batches that account for the differences, attaches them to the cells, and returns what became of
// each batch with an unknown outcome, and of each that was dropped.
//
// That nothing was dropped is believed where the counts allow it: only where they do not, batches that were taken are
// looked at. A batch is named with certainty where all choices that account for the differences agree about it. Choices
// with more than mostDropped batches are not looked at, and neither are errors that cancel out in all their cells.
func (s *sheet) explain(cells []Cell) []Evidence {
	x := newExhibit(s, cells)
	var all []Evidence
	for _, group := range connected(x.suspects) {
		all = append(all, x.conclude(group)...)
	}
	slices.SortStableFunc(all, func(a, b Evidence) int { return x.order[a.Batch] - x.order[b.Batch] })
	if !s.rules.Exclusive {
		all = append(all, x.hints(all)...)
	}
	return all
}

// exhibit is the cells of a service, and the batches that may account for them.
type exhibit struct {
	*sheet
	cells    []Cell
	index    map[place]int   // of every cell that is shown and was asked for
	rest     map[place]int64 // counted less delivered, of the cells that count as proof
	suspects []*suspect
	order    map[string]int // of batches, as the ledger lists them
}

func newExhibit(s *sheet, cells []Cell) *exhibit {
	x := &exhibit{sheet: s, cells: cells, index: map[place]int{}, rest: map[place]int64{}, order: map[string]int{}}
	for i := range cells {
		c := &cells[i]
		if c.AppID == others || s.unknown(c) != "" {
			continue
		}
		p := place{c.AppID, c.Metric, c.Hour.Unix()}
		x.index[p] = i
		if s.sole(c.Metric) && !s.moving(c) {
			x.rest[p] = c.Delta
		}
	}
	for i := range s.Batches {
		x.order[s.Batches[i].ID] = i
	}
	x.suspects = x.summon(x.rest)
	if x.omit(x.rest) {
		x.suspects = x.summon(x.rest)
	}
	return x
}

// moving reports whether reports that are under way may be counted in a cell already.
func (s *sheet) moving(c *Cell) bool {
	if !s.ObservedAt.Before(c.SealedAt) {
		return false // too old for the backend
	}
	p := place{c.AppID, c.Metric, c.Hour.Unix()}
	return c.Pending+s.sent[p].Dead > s.doubtful[p]
}

// omit takes away the cells whose difference is beyond all batches together: something else happened there.
func (x *exhibit) omit(rest map[place]int64) (omitted bool) {
	low, high := reach(x.suspects)
	for p, n := range rest {
		if n < low[p] || n > high[p] {
			delete(rest, p)
			omitted = true
		}
	}
	return omitted
}

// reach is how far the cells may go down and up through all these batches.
func reach(all []*suspect) (low, high map[place]int64) {
	low, high = map[place]int64{}, map[place]int64{}
	for _, b := range all {
		down, up := map[place]int64{}, map[place]int64{}
		for _, o := range b.outcomes {
			for p, n := range o.change {
				down[p], up[p] = min(down[p], n), max(up[p], n)
			}
		}
		for p, n := range down {
			low[p] += n
		}
		for p, n := range up {
			high[p] += n
		}
	}
	return low, high
}

// summon makes suspects of all batches that have a part in cells that count as proof. Where these all agree, only reports
// with an unknown outcome are of interest.
func (x *exhibit) summon(rest map[place]int64) (out []*suspect) {
	agree := true
	for _, n := range rest {
		agree = agree && n == 0
	}
	for i := range x.Batches {
		b := &x.Batches[i]
		if agree && b.Ambiguous == 0 {
			continue
		}
		one := &suspect{batch: b}
		taken, doubtful := map[place]int64{}, map[place]int64{}
		for _, c := range b.Cells {
			up(x.Parents, c.Metric, func(metric string) {
				p := place{c.AppID, metric, c.Hour.Unix()}
				if _, shown := x.index[p]; !shown {
					p.app = ""
				}
				if _, shown := x.index[p]; !shown {
					return
				}
				if !slices.Contains(one.seen, p) {
					one.seen = append(one.seen, p)
				}
				if _, proof := rest[p]; proof {
					taken[p] += c.Delivered
					doubtful[p] += c.Ambiguous / int64(max(b.Ambiguous, 1))
				}
			})
		}
		one.outcomes = outcomes(b, taken, doubtful)
		if len(one.outcomes) > 0 {
			out = append(out, one)
		}
	}
	return out
}

// outcomes are the ways in which a batch may differ from its books: its reports with an unknown outcome were counted so
// many times, and what was taken was dropped or not. Those that cannot be told from the books, or from one another,
// are left out.
func outcomes(b *ledger.BatchRecord, taken, doubtful map[place]int64) (out []outcome) {
	mine := delivered(b)
	for landed := 0; landed <= min(b.Ambiguous, mostLanded); landed++ {
		for drops := 0; drops <= 1; drops++ {
			if drops == 1 && !mine {
				continue
			}
			o := outcome{drops: drops, change: map[place]int64{}}
			for p := range taken {
				if n := int64(landed)*doubtful[p] - int64(drops)*taken[p]; n != 0 {
					o.change[p] = n
				}
			}
			copies := landed - drops
			if mine {
				copies++
			}
			switch {
			case copies > 1:
				o.fate = Twice
			case copies == 1:
				o.fate = Landed
			default:
				o.fate = Dropped
			}
			if len(o.change) > 0 && !slices.ContainsFunc(out, func(k outcome) bool { return same(k.change, o.change) }) {
				out = append(out, o)
			}
		}
	}
	return out
}

func same(a, b map[place]int64) bool {
	for p, n := range a {
		if b[p] != n {
			return false
		}
	}
	return len(a) == len(b)
}

func delivered(b *ledger.BatchRecord) bool {
	return slices.ContainsFunc(b.Cells, func(c ledger.BatchCell) bool { return c.Delivered != 0 })
}

// connected divides suspects into groups that share no cell.
func connected(all []*suspect) (groups [][]*suspect) {
	parent := make([]int, len(all))
	root := func(i int) int {
		for parent[i] != i {
			parent[i] = parent[parent[i]]
			i = parent[i]
		}
		return i
	}
	first := map[place]int{}
	for i, x := range all {
		parent[i] = i
		for _, o := range x.outcomes {
			for p := range o.change {
				if j, ok := first[p]; ok {
					parent[root(i)] = root(j)
				} else {
					first[p] = i
				}
			}
		}
	}
	at := map[int]int{}
	for i, x := range all {
		r := root(i)
		if _, ok := at[r]; !ok {
			at[r] = len(groups)
			groups = append(groups, nil)
		}
		groups[at[r]] = append(groups[at[r]], x)
	}
	return groups
}

// conclude says what became of the batches of a group, and attaches it to their cells.
func (x *exhibit) conclude(group []*suspect) (all []Evidence) {
	found, complete := solve(group, x.rest)
	if len(found) == 0 {
		return nil // something else happened here
	}
	for i, one := range group {
		fate, agreed := Fate(""), complete
		for n, choice := range found {
			told := Fate("")
			if k, chosen := choice[i]; chosen {
				told = one.outcomes[k].fate
			}
			agreed = agreed && (n == 0 || told == fate)
			if n == 0 || told != "" {
				fate = told
			}
		}
		switch {
		case fate == "" && one.batch.Ambiguous == 0:
			continue
		case fate == "" && !agreed:
			continue
		case fate == "" && delivered(one.batch):
			fate = Once
		case fate == "":
			fate = NotLanded
		case !agreed:
			fate = Possible
		default:
			for p, n := range one.outcomes[found[0][i]].change {
				x.explained[p] += n
			}
		}
		all = append(all, x.attach(one, fate))
	}
	return all
}

func (x *exhibit) attach(one *suspect, fate Fate) Evidence {
	final := true
	for _, p := range one.seen {
		c := &x.cells[x.index[p]]
		sealed := !x.ObservedAt.Before(c.SealedAt)
		final = final && sealed
		c.Evidence = append(c.Evidence, Evidence{one.batch.ID, fate, sealed})
	}
	return Evidence{one.batch.ID, fate, final}
}

// hints names batches that may have been dropped where other reporters report, too: their usage may hide a part of what is
// missing, so that nothing is certain.
func (x *exhibit) hints(known []Evidence) (all []Evidence) {
	rest := map[place]int64{}
	for p, i := range x.index {
		if x.cells[i].Delta < 0 {
			rest[p] = x.cells[i].Delta
		}
	}
	for _, group := range connected(x.summon(rest)) {
		found, _ := solve(group, rest)
		for i, one := range group {
			named := slices.ContainsFunc(known, func(e Evidence) bool { return e.Batch == one.batch.ID })
			chosen := slices.ContainsFunc(found, func(choice map[int]int) bool { _, ok := choice[i]; return ok })
			if chosen && !named {
				all = append(all, x.attach(one, Possible))
			}
		}
	}
	return all
}
