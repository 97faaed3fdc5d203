package sandbox

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/reporterd/reporterd/threescale"
)

// metric is one metric of a service. Its place in the hierarchy is its identity: indices are never
// reused, so counters and limits refer to metrics by index across changes of a service.
type metric struct {
	name     string
	parent   int // index, or -1
	level    int // 0 for a metric without a parent
	children []int
	deleted  bool // its counters stay, its name is not known any more
}

// hierarchy is a service's metrics in the order of their ids. It is immutable: a change makes another.
type hierarchy struct {
	metrics []metric
	byName  map[string]int
}

// newHierarchy builds one from (name, parent's name) pairs; a parent comes before its children. A pair
// whose name is known already is skipped.
func newHierarchy(pairs [][2]string) (*hierarchy, error) {
	h := &hierarchy{byName: make(map[string]int, len(pairs))}
	for _, pair := range pairs {
		if err := h.add(pair[0], pair[1]); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// add appends one metric. Only newHierarchy and a service's change call it, before other goroutines have h.
func (h *hierarchy) add(name, parent string) error {
	if name == "" || strings.TrimSpace(name) != name {
		return fmt.Errorf("metrics: %q is no name of a metric", name)
	}
	if _, known := h.byName[name]; known {
		return nil
	}
	m := metric{name: name, parent: -1}
	index := len(h.metrics)
	if parent != "" {
		above, known := h.byName[parent]
		if !known {
			return fmt.Errorf("metrics: parent %q of %q is not known", parent, name)
		}
		m.parent, m.level = above, h.metrics[above].level+1
		h.metrics[above].children = append(h.metrics[above].children, index)
	}
	h.metrics = append(h.metrics, m)
	h.byName[name] = index
	return nil
}

// has reports whether there is a metric of that index, and it is not deleted.
func (h *hierarchy) has(index int) bool { return index < len(h.metrics) && !h.metrics[index].deleted }

// clone is a copy to be changed.
func (h *hierarchy) clone() *hierarchy {
	c := &hierarchy{metrics: slices.Clone(h.metrics), byName: maps.Clone(h.byName)}
	for i := range c.metrics {
		c.metrics[i].children = slices.Clone(c.metrics[i].children)
	}
	if c.byName == nil {
		c.byName = make(map[string]int)
	}
	return c
}

// remove deletes a metric without children. Only the service's change calls it, before other goroutines have h.
func (h *hierarchy) remove(name string) error {
	index, known := h.byName[name]
	if !known {
		return fmt.Errorf("deleted_metrics: %q is not known", name)
	}
	m := &h.metrics[index]
	if len(m.children) > 0 {
		return fmt.Errorf("deleted_metrics: %q has children", name)
	}
	if m.parent >= 0 {
		above := &h.metrics[m.parent]
		above.children = slices.DeleteFunc(above.children, func(child int) bool { return child == index })
	}
	m.deleted = true
	delete(h.byName, name)
	return nil
}

// amount is what one call or transaction asks for one metric, as the backend keeps it: a number to add,
// or to set when the value was written #N.
type amount struct {
	metric int
	value  uint64 // at most what 64 signed bits hold; more is overflow
	set    bool
}

// onto is the backend's rule for a value that meets another: a set replaces it, an increment is added.
func (a amount) onto(stored uint64) uint64 {
	if a.set {
		return a.value
	}
	return plus(stored, a.value)
}

// overflow is where the backend's counters end: signed 64 bits. A value above makes its worker crash.
const overflow = 1<<63 - 1

// plus adds without wrapping round: once above overflow, a sum stays there.
func plus(a, b uint64) uint64 {
	if a > overflow || b > overflow || a+b > overflow {
		return overflow + 1
	}
	return a + b
}

// spread passes amounts on to every ancestor, deepest level first and within a level in the order
// written. Where a set and an increment meet, the later of the two decides alone: a set replaces the
// sum, and an increment counts from nothing, because the backend reads a set as the number 0 there.
func (h *hierarchy) spread(amounts []amount) []amount {
	deepest := 0
	for _, a := range amounts {
		deepest = max(deepest, h.metrics[a.metric].level)
	}
	spread := append(make([]amount, 0, len(amounts)+2), amounts...)
	for level := deepest; level > 0; level-- {
		for i := 0; i < len(spread); i++ {
			if m := h.metrics[spread[i].metric]; m.level == level {
				spread = meet(spread, m.parent, spread[i])
			}
		}
	}
	return spread
}

// meet lets a child's amount reach its parent's.
func meet(amounts []amount, parent int, child amount) []amount {
	for i := range amounts {
		if amounts[i].metric != parent {
			continue
		}
		if amounts[i].set || child.set {
			amounts[i] = amount{metric: parent, value: child.value, set: child.set}
		} else {
			amounts[i].value = plus(amounts[i].value, child.value)
		}
		return amounts
	}
	return append(amounts, amount{metric: parent, value: child.value, set: child.set})
}

// below folds what amounts ask for metric m and all its descendants onto a stored value: the metric
// first, then its children, then theirs. That is what usage reports and limit headers show, under
// flat_usage too (recording authrep-flat-usage-child).
func (h *hierarchy) below(m int, amounts []amount, stored uint64) uint64 {
	for level := []int{m}; len(level) > 0; {
		var next []int
		for _, index := range level {
			if a, named := find(amounts, index); named {
				stored = a.onto(stored)
			}
			next = append(next, h.metrics[index].children...)
		}
		level = next
	}
	return stored
}

// find returns what amounts ask for one metric.
func find(amounts []amount, m int) (amount, bool) {
	for _, a := range amounts {
		if a.metric == m {
			return a, true
		}
	}
	return amount{}, false
}

// childNames lists a metric's direct children in the order of their ids.
func (h *hierarchy) childNames(m int) []string {
	names := make([]string, len(h.metrics[m].children))
	for i, child := range h.metrics[m].children {
		names[i] = h.metrics[child].name
	}
	return names
}

// metricID is the backend's number of a metric, which only the recordings show: the service's id, then
// the metric's position from 1.
func metricID(service string, index int) string { return service + strconv.Itoa(index+1) }

// readUsage reads a usage hash, of each entry the value before the metric's name, as both the limits
// validator and the worker do. A name with blanks around it overwrites the same name without. With
// dropZero, entries that are exactly 0 are not looked at, as in reports.
func (h *hierarchy) readUsage(usage threescale.Value, dropZero bool) ([]amount, error) {
	amounts := make([]amount, 0, usage.Len())
	for i := range usage.Len() {
		name, value := usage.Entry(i)
		if dropZero && usage.Kind() == threescale.Hash && value.Text() == "0" {
			continue
		}
		a, err := h.readAmount(usageEntry(usage.Kind(), name, value))
		if err != nil {
			return nil, err
		}
		amounts = put(amounts, a)
	}
	return amounts, nil
}

// put replaces the amount of the same metric, or appends.
func put(amounts []amount, a amount) []amount {
	for i := range amounts {
		if amounts[i].metric == a.metric {
			amounts[i] = a
			return amounts
		}
	}
	return append(amounts, a)
}

// usageEntry takes one entry apart as Ruby does: an array's element is a name without a value (recording
// report-usage-array).
func usageEntry(kind threescale.Kind, name string, value threescale.Value) (string, threescale.Value) {
	if kind == threescale.Array {
		return value.Text(), threescale.Value{}
	}
	return name, value
}

func (h *hierarchy) readAmount(name string, value threescale.Value) (amount, error) {
	name = strings.TrimSpace(name)
	if strings.TrimSpace(value.Text()) == "" {
		return amount{}, threescale.UsageValueEmpty(name)
	}
	number, set, ok := threescale.ParseUsageValue(value.Text())
	if !ok {
		return amount{}, threescale.UsageValueInvalid(name, value.Text())
	}
	if set && value.Text()[0] != '#' {
		number, set = 0, false // a set behind a blank is taken and does nothing (backend.md section 8)
	}
	index, known := h.byName[name]
	if !known {
		return amount{}, threescale.MetricInvalid(name)
	}
	return amount{metric: index, value: min(number, overflow+1), set: set}, nil
}
