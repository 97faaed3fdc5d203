package reconcile

import (
	"slices"

	"github.com/reporterd/reporterd/ledger"
)

// candidate is a batch whose outcome may differ from what was booked.
type candidate struct {
	batch    *ledger.BatchRecord
	seen     []place // the shown cells that it has a part of
	outcomes []outcome
}

// outcome is one way in which the counts may differ from the ledger because of a batch.
type outcome struct {
	fate   Fate
	drops  int
	change map[place]int64 // of the cells that count as proof
}

// explain finds whole batches that account for the differences, and adds them to the cells as evidence. It returns the fate of
// each batch with an unknown outcome, and of each that was dropped.
//
// Batches that were accepted are considered only if the differences cannot be explained without dropped ones. A fate is certain
// if it is the same in all choices that account for the differences. Choices with more than mostDropped batches are not
// considered, nor are errors that cancel out in all their cells.
func (s *sheet) explain(cells []Cell) []Evidence {
	x := newAnalysis(s, cells)
	var all []Evidence
	for _, group := range connected(x.candidates) {
		all = append(all, x.conclude(group)...)
	}
	slices.SortStableFunc(all, func(a, b Evidence) int { return x.order[a.Batch] - x.order[b.Batch] })
	if !s.rules.Exclusive {
		all = append(all, x.hints(all)...)
	}
	return all
}

// analysis contains the cells of a service, and the batches that may account for them.
type analysis struct {
	*sheet
	cells      []Cell
	index      map[place]int   // of every cell that is shown and was requested
	rest       map[place]int64 // counted minus delivered, of the cells that count as proof
	candidates []*candidate
	order      map[string]int // of batches, as listed by the ledger
}

func newAnalysis(s *sheet, cells []Cell) *analysis {
	x := &analysis{sheet: s, cells: cells, index: map[place]int{}, rest: map[place]int64{}, order: map[string]int{}}
	for i := range cells {
		c := &cells[i]
		if c.AppID == otherApps || s.unknown(c) != "" {
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
	x.candidates = x.findCandidates(x.rest)
	if x.dropUnexplained(x.rest) {
		x.candidates = x.findCandidates(x.rest)
	}
	return x
}

// moving reports whether a cell may already count reports of pending usage.
func (s *sheet) moving(c *Cell) bool {
	if !s.ObservedAt.Before(c.SealedAt) {
		return false // too old for the backend
	}
	p := place{c.AppID, c.Metric, c.Hour.Unix()}
	return c.Pending+s.sent[p].Dead > s.unresolved[p]
}

// dropUnexplained removes the cells whose difference is larger than all batches together can explain: it has another cause.
func (x *analysis) dropUnexplained(rest map[place]int64) (omitted bool) {
	low, high := reach(x.candidates)
	for p, n := range rest {
		if n < low[p] || n > high[p] {
			delete(rest, p)
			omitted = true
		}
	}
	return omitted
}

// reach returns how far all these batches can change the cells, down and up.
func reach(all []*candidate) (low, high map[place]int64) {
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

// findCandidates returns candidates for all batches that have a part in cells that count as proof. If these cells all agree, only batches
// with an unknown outcome are included.
func (x *analysis) findCandidates(rest map[place]int64) (out []*candidate) {
	agree := true
	for _, n := range rest {
		agree = agree && n == 0
	}
	for i := range x.Batches {
		b := &x.Batches[i]
		if agree && b.Ambiguous == 0 {
			continue
		}
		one := &candidate{batch: b}
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

// outcomes returns the ways in which a batch may differ from what was booked: how many of its reports with an unknown outcome
// were counted, and whether accepted usage was dropped. Ways without an effect, or with the same effect as another, are left out.
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

// connected divides candidates into groups that share no cell.
func connected(all []*candidate) (groups [][]*candidate) {
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

// conclude determines the fates of the batches of a group, and adds them to their cells.
func (x *analysis) conclude(group []*candidate) (all []Evidence) {
	found, complete := solve(group, x.rest)
	if len(found) == 0 {
		return nil // the difference has another cause
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

func (x *analysis) attach(one *candidate, fate Fate) Evidence {
	final := true
	for _, p := range one.seen {
		c := &x.cells[x.index[p]]
		sealed := !x.ObservedAt.Before(c.SealedAt)
		final = final && sealed
		c.Evidence = append(c.Evidence, Evidence{one.batch.ID, fate, sealed})
	}
	return Evidence{one.batch.ID, fate, final}
}

// hints returns batches that may have been dropped where other reporters report as well: their usage may hide a part of what is
// missing, so nothing is certain.
func (x *analysis) hints(known []Evidence) (all []Evidence) {
	rest := map[place]int64{}
	for p, i := range x.index {
		if x.cells[i].Delta < 0 {
			rest[p] = x.cells[i].Delta
		}
	}
	for _, group := range connected(x.findCandidates(rest)) {
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
