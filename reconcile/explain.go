package reconcile

import (
	"slices"

	"github.com/reporterd/reporterd/ledger"
)

const (
	// mostChosen bounds how many batches together are tried as an explanation, and mostCandidates among how many.
	mostChosen     = 4
	mostCandidates = 64
)

// suspect is a batch with what it would change in the counts.
type suspect struct {
	batch  *ledger.BatchRecord
	fate   Fate
	change map[place]int64 // of the cells that are shown
}

// explain finds whole batches that account for the differences, attaches them to the cells, and returns what became of
// each batch with an unknown outcome, and of each that was dropped.
func (s *sheet) explain(cells []Cell) []Evidence {
	index := make(map[place]int, len(cells))
	rest := make(map[place]int64, len(cells))
	for i := range cells {
		c := &cells[i]
		if c.AppID == "(others)" {
			continue
		}
		p := place{c.AppID, c.Metric, c.Hour.Unix()}
		index[p], rest[p] = i, c.Delta
	}
	var all []Evidence
	note := func(x *suspect, fate Fate) {
		final := true
		for p := range x.change {
			c := &cells[index[p]]
			sealed := !s.ObservedAt.Before(c.SealedAt)
			final = final && sealed
			c.Evidence = append(c.Evidence, Evidence{x.batch.ID, fate, sealed})
		}
		all = append(all, Evidence{x.batch.ID, fate, final})
	}
	for _, sign := range []int64{-1, 1} {
		suspects := s.suspects(rest, sign)
		for _, group := range connected(suspects) {
			s.solve(group, rest, note)
		}
	}
	s.acquit(index, all, note)
	return all
}

// suspects are the batches that could account for a difference of this sign: those that fit into it with all their cells.
func (s *sheet) suspects(rest map[place]int64, sign int64) (out []suspect) {
	for i := range s.Batches {
		b := &s.Batches[i]
		x := suspect{batch: b, fate: Dropped}
		if sign > 0 {
			if b.Ambiguous == 0 {
				continue
			}
			x.fate = Landed
		}
		x.change = s.change(b, sign, rest)
		fits := len(x.change) > 0
		for p, n := range x.change {
			if left := rest[p]; left*sign < n*sign || left == 0 {
				fits = false
			}
		}
		if fits {
			out = append(out, x)
		}
	}
	if len(out) > mostCandidates {
		return nil
	}
	return out
}

// change is what a batch adds to the cells that are shown, times sign. A report with an unknown outcome counts once.
func (s *sheet) change(b *ledger.BatchRecord, sign int64, rest map[place]int64) map[place]int64 {
	out := make(map[place]int64)
	for _, c := range b.Cells {
		n := c.Delivered
		if sign > 0 {
			n = c.Ambiguous / int64(max(b.Ambiguous, 1))
		}
		if n == 0 {
			continue
		}
		up(s.Parents, c.Metric, func(metric string) {
			p := place{c.AppID, metric, c.Hour.Unix()}
			if _, shown := rest[p]; !shown {
				p.app = ""
			}
			if _, shown := rest[p]; shown {
				out[p] += n * sign
			}
		})
	}
	return out
}

// connected divides suspects into groups that share no cell.
func connected(all []suspect) (groups [][]suspect) {
	owner := make(map[place]int) // of cells: a group
	for _, x := range all {
		at := -1
		for p := range x.change {
			g, ok := owner[p]
			switch {
			case !ok || g == at:
			case at < 0:
				at = g
			default: // it joins two
				groups[at] = append(groups[at], groups[g]...)
				groups[g] = nil
				for q, o := range owner {
					if o == g {
						owner[q] = at
					}
				}
			}
		}
		if at < 0 {
			at = len(groups)
			groups = append(groups, nil)
		}
		groups[at] = append(groups[at], x)
		for p := range x.change {
			owner[p] = at
		}
	}
	return slices.DeleteFunc(groups, func(g []suspect) bool { return len(g) == 0 })
}

// solve looks for the choices of suspects that account for the difference of every cell they touch. One is a finding;
// several are named as possible; none explains nothing.
func (s *sheet) solve(group []suspect, rest map[place]int64, note func(*suspect, Fate)) {
	left := make(map[place]int64)
	for _, x := range group {
		for p := range x.change {
			left[p] = rest[p]
		}
	}
	var found [][]int
	var chosen []int
	var try func(from int)
	try = func(from int) {
		if len(found) > 1 {
			return
		}
		if len(chosen) > 0 && zero(left, group, chosen) {
			found = append(found, slices.Clone(chosen))
			return
		}
		if len(chosen) == mostChosen {
			return
		}
		for i := from; i < len(group); i++ {
			fits := true
			for p, n := range group[i].change {
				if l := left[p]; l == 0 || (l > 0) != (n > 0) || abs(l) < abs(n) {
					fits = false
				}
			}
			if !fits {
				continue
			}
			for p, n := range group[i].change {
				left[p] -= n
			}
			chosen = append(chosen, i)
			try(i + 1)
			chosen = chosen[:len(chosen)-1]
			for p, n := range group[i].change {
				left[p] += n
			}
		}
	}
	try(0)
	switch len(found) {
	case 0:
	case 1:
		for _, i := range found[0] {
			note(&group[i], s.fate(&group[i]))
		}
	default:
		for i := range group {
			if slices.Contains(found[0], i) || slices.Contains(found[1], i) {
				note(&group[i], Possible)
			}
		}
	}
}

// zero reports whether the chosen ones leave nothing of the cells they touch.
func zero(left map[place]int64, group []suspect, chosen []int) bool {
	for _, i := range chosen {
		for p := range group[i].change {
			if left[p] != 0 {
				return false
			}
		}
	}
	return true
}

// fate is what is found of a suspect. A report that landed, of a batch that was delivered all the same, was counted twice.
func (s *sheet) fate(x *suspect) Fate {
	if x.fate == Landed && delivered(x.batch) {
		return Twice
	}
	return x.fate
}

func delivered(b *ledger.BatchRecord) bool {
	return slices.ContainsFunc(b.Cells, func(c ledger.BatchCell) bool { return c.Delivered != 0 })
}

// acquit says of the batches with an unknown outcome that nothing of them was counted, where the cells they are in agree
// without them.
func (s *sheet) acquit(index map[place]int, known []Evidence, note func(*suspect, Fate)) {
	rest := make(map[place]int64, len(index))
	for p := range index {
		rest[p] = 0
	}
	for i := range s.Batches {
		b := &s.Batches[i]
		if b.Ambiguous == 0 || slices.ContainsFunc(known, func(e Evidence) bool { return e.Batch == b.ID }) {
			continue
		}
		x := suspect{batch: b, change: s.change(b, 1, rest)}
		clean := len(x.change) > 0
		for p := range x.change {
			clean = clean && s.unexplained(p, known) == 0
		}
		if clean && s.rules.Exclusive {
			fate := NotLanded
			if delivered(b) {
				fate = Once
			}
			note(&x, fate)
		}
	}
}

// unexplained is what the findings leave of a cell's difference.
func (s *sheet) unexplained(p place, known []Evidence) int64 {
	delta := s.cell(p).Delta
	for _, e := range known {
		for i := range s.Batches {
			b := &s.Batches[i]
			if b.ID != e.Batch {
				continue
			}
			sign := int64(1)
			if e.Fate == Dropped {
				sign = -1
			}
			delta -= s.change(b, sign, map[place]int64{p: 0})[p]
		}
	}
	return delta
}

func abs(n int64) int64 {
	if n < 0 {
		return -n
	}
	return n
}
