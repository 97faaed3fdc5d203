package quota

import (
	"slices"

	"github.com/reporterd/reporterd/threescale"
)

// Amount is what a call asks for one metric: a value to add, or to set (a value written with #).
type Amount struct {
	Metric *Metric // nil: not looked up yet, or unknown
	Name   string  // without white space around it
	Value  int64
	Set    bool
	Fault  *threescale.Error // why the value is not valid; nil: it is
}

// In returns the metric in a service, nil if it is unknown there. It is looked up once per call.
func (a *Amount) In(s *Service) *Metric {
	if a.Metric == nil {
		a.Metric = s.Find(a.Name)
	}
	return a.Metric
}

// MaxCounter is the largest value of a counter of the backend.
const MaxCounter = 1<<63 - 1

// onto returns the counter value that results from a stored one.
func (a Amount) onto(stored int64) int64 {
	switch {
	case a.Set:
		return a.Value
	case a.Value > MaxCounter-stored:
		return MaxCounter
	}
	return stored + a.Value
}

// spread appends to dst the amounts of a call and what they add to every ancestor, the deepest first. Where a set and an
// increment meet in an ancestor, the later one decides alone, as in the backend (backend.md, section 8).
func spread(dst, asked []Amount) []Amount {
	dst = append(dst, asked...)
	deepest := 0
	for i := range dst {
		deepest = max(deepest, dst[i].Metric.depth())
	}
	for depth := deepest; depth > 0; depth-- {
		for i := 0; i < len(dst); i++ {
			if dst[i].Metric.depth() == depth {
				dst = addToParent(dst, dst[i].Metric.parent.Load(), dst[i])
			}
		}
	}
	return dst
}

func addToParent(list []Amount, parent *Metric, child Amount) []Amount {
	if parent == nil { // another goroutine removed the edge a moment ago
		return list
	}
	i := slices.IndexFunc(list, func(a Amount) bool { return a.Metric == parent })
	switch {
	case i < 0:
		return append(list, Amount{Metric: parent, Value: child.Value, Set: child.Set})
	case list[i].Set || child.Set:
		list[i].Value, list[i].Set = child.Value, child.Set
	default:
		list[i].Value = child.onto(list[i].Value)
	}
	return list
}

// Below adds what a call asks for a metric and everything under it to a stored value, level by level. Answers show this
// value, also with flat_usage (recording authrep-flat-usage-child).
func Below(m *Metric, asked []Amount, stored int64) int64 {
	for level, left := 0, len(asked); left > 0 && level < maxDepth; level++ {
		for i := range asked {
			switch d := asked[i].Metric.distance(m); {
			case d == level:
				stored = asked[i].onto(stored)
				left--
			case d < 0 && level == 0:
				left--
			}
		}
	}
	return stored
}
