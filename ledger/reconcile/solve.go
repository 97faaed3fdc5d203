package reconcile

import "maps"

const (
	// mostDropped limits how many dropped batches a choice may contain.
	mostDropped = 4
	// mostLanded limits how many reports of one batch a choice may count as landed.
	mostLanded = 8
	// mostFound and mostTried limit the search; if it ends early, its results are possible, not certain.
	mostFound = 256
	mostTried = 300_000
)

// search looks for choices of outcomes that account for the difference of every cell.
type search struct {
	group     []*candidate
	left      map[place]int64
	low, high map[place]int64    // how far all batches together can change each cell
	touching  map[place][][2]int // by cell: batch and outcome
	banned    map[[2]int]int
	chosen    map[int]int
	drops     int // number of drops still to choose
	tried     int // outcomes tried
	found     []map[int]int
}

// solve returns the choices that account for the differences of a group's cells, as outcomes by batch, and whether the list is
// complete. If choices without dropped batches exist, no other ones are considered; otherwise those with the fewest come first.
func solve(group []*candidate, rest map[place]int64) (found []map[int]int, complete bool) {
	complete = true
	for drops := range mostDropped + 1 {
		s := newSearch(group, rest, drops)
		s.step()
		found = append(found, s.found...)
		complete = complete && s.tried < mostTried && len(s.found) < mostFound
		if drops == 0 && len(found) > 0 || len(found) >= mostFound {
			return found, complete && len(found) < mostFound
		}
	}
	return found, complete
}

func newSearch(group []*candidate, rest map[place]int64, drops int) *search {
	s := &search{group: group, drops: drops, left: map[place]int64{}, touching: map[place][][2]int{}, banned: map[[2]int]int{}, chosen: map[int]int{}}
	s.low, s.high = reach(group)
	for i, x := range group {
		for k, o := range x.outcomes {
			for p := range o.change {
				s.left[p] = rest[p]
				s.touching[p] = append(s.touching[p], [2]int{i, k})
			}
		}
	}
	return s
}

// step chooses an outcome for the cell with the fewest fitting ones, and continues; each choice is found once.
func (s *search) step() {
	if s.tried >= mostTried || len(s.found) >= mostFound {
		return
	}
	open := false
	var fewest [][2]int
	for p, n := range s.left {
		if n == 0 {
			continue
		}
		var fit [][2]int
		for _, t := range s.touching[p] {
			if s.fits(t) {
				fit = append(fit, t)
			}
		}
		if len(fit) == 0 {
			return
		}
		if !open || len(fit) < len(fewest) {
			open, fewest = true, fit
		}
	}
	if !open {
		if s.drops == 0 {
			s.found = append(s.found, maps.Clone(s.chosen))
		}
		return
	}
	for _, t := range fewest {
		o := &s.group[t[0]].outcomes[t[1]]
		s.apply(o, 1)
		s.chosen[t[0]] = t[1]
		s.step()
		delete(s.chosen, t[0])
		s.apply(o, -1)
		s.banned[t]++
	}
	for _, t := range fewest {
		s.banned[t]--
	}
}

// fits reports whether an outcome may be chosen: its batch has none yet, and the cells it changes stay within reach.
func (s *search) fits(t [2]int) bool {
	s.tried++
	o := &s.group[t[0]].outcomes[t[1]]
	if _, taken := s.chosen[t[0]]; taken || s.banned[t] > 0 || o.drops > s.drops {
		return false
	}
	for p, n := range o.change {
		if left := s.left[p] - n; left < s.low[p] && left < 0 || left > s.high[p] && left > 0 {
			return false
		}
	}
	return true
}

func (s *search) apply(o *outcome, sign int) {
	for p, n := range o.change {
		s.left[p] -= int64(sign) * n
	}
	s.drops -= sign * o.drops
}
