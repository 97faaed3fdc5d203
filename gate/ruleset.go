package gate

import (
	"slices"

	"github.com/reporterd/reporterd/threescale"
)

// ruleSet finds the rules of a service that may match a path without trying each: a rule matches only paths that begin with its first
// text. It does not change.
type ruleSet struct {
	rules   []*Rule
	byText  map[string][]int // first text to the places of its rules, ascending
	lengths []int            // of these texts, ascending, each once
}

func newRuleSet(rules []*Rule) *ruleSet {
	s := &ruleSet{rules: rules, byText: map[string][]int{}}
	for i, r := range rules {
		text := ""
		if len(r.path) > 0 && !r.path[0].any {
			text = r.path[0].text
		}
		s.byText[text] = append(s.byText[text], i)
		s.lengths = append(s.lengths, len(text))
	}
	slices.Sort(s.lengths)
	s.lengths = slices.Compact(s.lengths)
	return s
}

// usage is usage of the rules.
func (s *ruleSet) usage(method string, t *target) (total threescale.Usage, matched []*Rule) {
	var room [16]int
	places := room[:0]
	for _, n := range s.lengths {
		if n > len(t.path) {
			break
		}
		places = append(places, s.byText[t.path[:n]]...)
	}
	slices.Sort(places)
	return usage(func(yield func(*Rule) bool) {
		for _, i := range places {
			if !yield(s.rules[i]) {
				return
			}
		}
	}, method, t)
}
