package authorize

import (
	"slices"
	"strings"

	"github.com/reporterd/reporterd/threescale"
)

// amount is what a call asks for one metric: a number to add, or with a # one to set.
type amount struct {
	metric *metric // nil before it was looked up, or not known
	name   string  // without white space around it
	value  int64
	set    bool
	fault  *threescale.Error // the value is none
}

// of returns the metric of a service, nil if it is not known. It is looked up once for a call.
func (a *amount) of(s *service) *metric {
	if a.metric == nil {
		a.metric = s.find(a.name)
	}
	return a.metric
}

// most is where the backend's counters end.
const most = 1<<63 - 1

// onto is what becomes of a stored value.
func (a amount) onto(stored int64) int64 {
	switch {
	case a.set:
		return a.value
	case a.value > most-stored:
		return most
	}
	return stored + a.value
}

// rubySpace is the white space that the backend strips.
const rubySpace = " \t\n\v\f\r\x00"

// readUsage appends what the usage parameter of a call asks for, in the order written. Of a name with
// and without blanks around it the later counts.
func readUsage(dst []amount, usage threescale.Value) []amount {
	for i := range usage.Len() {
		name, v := usage.Entry(i)
		a := readAmount(strings.Trim(name, rubySpace), v)
		if at := slices.IndexFunc(dst, func(b amount) bool { return b.name == a.name && b.fault == nil }); at >= 0 && a.fault == nil {
			dst[at] = a
			continue
		}
		dst = append(dst, a)
	}
	return dst
}

func readAmount(name string, v threescale.Value) amount {
	a := amount{name: name}
	if strings.Trim(v.Text(), rubySpace) == "" {
		a.fault = threescale.UsageValueEmpty(name)
		return a
	}
	value, set, ok := threescale.ParseUsageValue(v.Text())
	if !ok {
		a.fault = threescale.UsageValueInvalid(name, v.Text())
		return a
	}
	a.value, a.set = int64(min(value, most)), set
	if set && v.Text()[0] != '#' { // a # behind a blank is taken, and does nothing
		a.value, a.set = 0, false
	}
	return a
}

// askable reports whether a metric of that name can exist: one with brackets could not be written into
// usage[…].
func askable(name string) bool {
	for i := range len(name) {
		if name[i] == '[' || name[i] == ']' {
			return false
		}
	}
	return name != "" && !threescale.TooLong(name)
}

// spread appends to dst what a call's amounts come to with what they add to every ancestor, the deepest
// first. Where a # meets a number, the later decides alone, as in the backend (backend.md, section 8).
func spread(dst, asked []amount) []amount {
	dst = append(dst, asked...)
	deepest := 0
	for i := range dst {
		deepest = max(deepest, dst[i].metric.depth())
	}
	for depth := deepest; depth > 0; depth-- {
		for i := 0; i < len(dst); i++ {
			if dst[i].metric.depth() == depth {
				dst = meet(dst, dst[i].metric.parent.Load(), dst[i])
			}
		}
	}
	return dst
}

func meet(list []amount, parent *metric, child amount) []amount {
	if parent == nil { // it was parted from its child a moment ago
		return list
	}
	i := slices.IndexFunc(list, func(a amount) bool { return a.metric == parent })
	switch {
	case i < 0:
		return append(list, amount{metric: parent, value: child.value, set: child.set})
	case list[i].set || child.set:
		list[i].value, list[i].set = child.value, child.set
	default:
		list[i].value = child.onto(list[i].value)
	}
	return list
}

// below folds what a call asks for a metric and everything under it onto a stored value, level by
// level: what an answer shows, under flat_usage too (recording authrep-flat-usage-child).
func below(m *metric, asked []amount, stored int64) int64 {
	for level, left := 0, len(asked); left > 0 && level < maxDepth; level++ {
		for i := range asked {
			switch d := asked[i].metric.distance(m); {
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
