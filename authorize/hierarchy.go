package authorize

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

const (
	maxServices = 10_000 // services whose metrics are shared by their applications
	maxMetrics  = 10_000 // metrics of one service; what is beyond weighs for itself alone
	maxUnproven = 5_000  // of them, those that reports named and no answer; what is beyond weighs together
	maxDepth    = 64     // ends a walk up, should answers ever make a circle of the hierarchy
)

// metric is one metric of a service, as far as answers told of it. Pointers are compared.
type metric struct {
	name     string
	tag      []byte                   // the beginning of its usage reports in an answer
	parent   atomic.Pointer[metric]   // nil: none that is known
	children atomic.Pointer[[]string] // as last told; nil: never
	seen     atomic.Int64             // Unix nanoseconds of the last answer that proved it; 0: none
	denied   atomic.Int64             // of the last answer that denied it; 0: none
	used     atomic.Bool              // there are usages of it
}

func newMetric(name string) *metric {
	tag := threescale.AppendAttribute([]byte(`<usage_report metric="`), name)
	return &metric{name: strings.Clone(name), tag: append(tag, `" period="`...)}
}

// under reports whether usage of m weighs on limits of above.
func (m *metric) under(above *metric) bool { return m.distance(above) >= 0 }

// distance is how many levels m lies below another metric; -1: it does not.
func (m *metric) distance(above *metric) int {
	for steps := 0; m != nil && steps < maxDepth; steps++ {
		if m == above {
			return steps
		}
		m = m.parent.Load()
	}
	return -1
}

// depth is how many levels are known above m.
func (m *metric) depth() int {
	depth := 0
	for p := m.parent.Load(); p != nil && depth < maxDepth; p = p.parent.Load() {
		depth++
	}
	return depth
}

// known reports whether an answer not older than life proved the metric.
func (m *metric) known(now time.Time, life time.Duration) bool {
	seen := m.seen.Load()
	return seen > m.denied.Load() && now.UnixNano()-seen < int64(life)
}

// unknown reports whether an answer not older than life denied it.
func (m *metric) unknown(now time.Time, life time.Duration) bool {
	denied := m.denied.Load()
	return denied > m.seen.Load() && now.UnixNano()-denied < int64(life)
}

// service is what answers told about one service: its metrics, and whether it can be asked at all.
type service struct {
	breaker breaker
	rest    *metric     // stands for those beyond maxUnproven
	used    atomic.Bool // it is configured, or has an application

	mu         sync.RWMutex // guards what follows
	metrics    map[string]*metric
	inferences map[edge]inference // see hierarchyprobe.go
}

func newService() *service {
	return &service{metrics: make(map[string]*metric), rest: newMetric("")}
}

// find returns the metric of a name, or nil.
func (s *service) find(name string) *metric {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.metrics[name]
}

// metric returns the metric of a name, a new one if need be.
func (s *service) metric(name string) *metric {
	if m := s.find(name); m != nil {
		return m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.metrics[name]; m != nil {
		return m
	}
	if len(s.metrics) >= maxMetrics {
		s.clearLocked()
	}
	m := newMetric(name)
	if len(s.metrics) < maxMetrics {
		s.metrics[m.name] = m
	}
	return m
}

// clearLocked makes room: it forgets the names of which nothing is known but that answers denied them. The mutex is
// held.
func (s *service) clearLocked() {
	for name, m := range s.metrics {
		if m.denied.Load() != 0 && m.seen.Load() == 0 && !m.used.Load() {
			delete(s.metrics, name)
		}
	}
}

// follow returns what the usage of a metric is counted under whose name nobody has proven, so that wrong names
// leave room for right ones.
func (s *service) follow(name string) *metric {
	s.mu.RLock()
	m, full := s.metrics[name], len(s.metrics) >= maxUnproven
	s.mu.RUnlock()
	switch {
	case m != nil:
		return m
	case full:
		return s.rest
	}
	return s.metric(name)
}

// learn takes the direct children that an answer lists. It lists those of metrics with a limit and of
// no others (recording auth-ext-hierarchy).
func (s *service) learn(list []threescale.MetricChildren, now time.Time) {
	for _, l := range list {
		parent := s.metric(l.Metric)
		parent.seen.Store(now.UnixNano())
		old := parent.children.Load()
		for _, name := range l.Children {
			child := s.metric(name)
			child.seen.Store(now.UnixNano())
			if !parent.under(child) {
				child.parent.Store(parent)
			}
		}
		if old != nil && slices.Equal(*old, l.Children) {
			continue
		}
		if old != nil {
			s.release(parent, *old, l.Children)
		}
		children := slices.Clone(l.Children)
		parent.children.Store(&children)
	}
}

// release parts a metric from the children that it does not have any more.
func (s *service) release(parent *metric, old, now []string) {
	for _, name := range old {
		if !slices.Contains(now, name) {
			s.metric(name).parent.CompareAndSwap(parent, nil)
		}
	}
}

// services holds every service that was asked about or reported for.
type services struct {
	mu    sync.RWMutex // guards byKey
	byKey map[identity]*service
}

// of returns the service of a key, a new one if need be. Beyond maxServices it is one that nobody else
// gets: applications then learn each for itself.
func (s *services) of(key identity) *service {
	s.mu.RLock()
	found := s.byKey[key]
	s.mu.RUnlock()
	if found != nil {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found = s.byKey[key]; found != nil {
		return found
	}
	if len(s.byKey) >= maxServices {
		s.clearLocked()
	}
	found = newService()
	if len(s.byKey) < maxServices {
		s.byKey[key] = found
	}
	return found
}

// clearLocked makes room: it forgets the services that were only asked for. The mutex is held.
func (s *services) clearLocked() {
	for key, one := range s.byKey {
		if !one.used.Load() {
			delete(s.byKey, key)
		}
	}
}

// Parents returns the parents of a service's methods, as far as answers told of them: of metrics that have a limit in
// some plan that was asked for.
func (a *Authorizer) Parents(serviceID string) map[string]string {
	s := a.services.of(identifyService(serviceID, threescale.Credentials{}))
	s.mu.RLock()
	defer s.mu.RUnlock()
	all := make(map[string]string)
	for name, m := range s.metrics {
		if p := m.parent.Load(); p != nil {
			all[name] = p.name
		}
	}
	return all
}
