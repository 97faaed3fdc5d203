package quota

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// What is remembered of services and metrics.
const (
	MaxServices = 10_000 // services whose metrics are shared by their applications
	MaxMetrics  = 10_000 // metrics of one service; what is beyond counts for itself alone

	maxUnproven = 5_000 // of them, those that reports named and no answer; what is beyond counts together
	maxDepth    = 64    // ends a walk up, should answers ever make a circle of the hierarchy
)

// Metric is one metric of a service, as far as answers told of it. Pointers are compared.
type Metric struct {
	name     string
	tag      []byte                   // the beginning of its usage reports in an answer
	parent   atomic.Pointer[Metric]   // nil: none that is known
	children atomic.Pointer[[]string] // as last told; nil: never
	seen     atomic.Int64             // Unix nanoseconds of the last answer that proved it; 0: none
	denied   atomic.Int64             // of the last answer that denied it; 0: none
	used     atomic.Bool              // an application has usage of it
}

func newMetric(name string) *Metric {
	tag := threescale.AppendAttribute([]byte(`<usage_report metric="`), name)
	return &Metric{name: strings.Clone(name), tag: append(tag, `" period="`...)}
}

// Name returns the system name.
func (m *Metric) Name() string { return m.name }

// ReportTag returns the beginning of a usage report of the metric in an answer, up to the value of its attribute period. It
// must not be changed.
func (m *Metric) ReportTag() []byte { return m.tag }

// Under reports whether usage of m counts for limits of above.
func (m *Metric) Under(above *Metric) bool { return m.under(above) }

func (m *Metric) under(above *Metric) bool { return m.distance(above) >= 0 }

// distance is how many levels m lies below another metric; -1: it does not.
func (m *Metric) distance(above *Metric) int {
	for steps := 0; m != nil && steps < maxDepth; steps++ {
		if m == above {
			return steps
		}
		m = m.parent.Load()
	}
	return -1
}

// depth is how many levels are known above m.
func (m *Metric) depth() int {
	depth := 0
	for p := m.parent.Load(); p != nil && depth < maxDepth; p = p.parent.Load() {
		depth++
	}
	return depth
}

// MarkSeen notes that an answer proved the metric.
func (m *Metric) MarkSeen(at time.Time) { m.seen.Store(at.UnixNano()) }

// MarkDenied notes that an answer said that the metric does not exist.
func (m *Metric) MarkDenied(at time.Time) { m.denied.Store(at.UnixNano()) }

// Known reports whether an answer not older than life proved the metric.
func (m *Metric) Known(now time.Time, life time.Duration) bool {
	seen := m.seen.Load()
	return seen > m.denied.Load() && now.UnixNano()-seen < int64(life)
}

// Unknown reports whether an answer not older than life denied it.
func (m *Metric) Unknown(now time.Time, life time.Duration) bool {
	denied := m.denied.Load()
	return denied > m.seen.Load() && now.UnixNano()-denied < int64(life)
}

// Exists reports whether the last answer about the metric proved it.
func (m *Metric) Exists() bool { return m.seen.Load() > m.denied.Load() }

// Denied reports whether the last answer about the metric denied it.
func (m *Metric) Denied() bool { return m.denied.Load() > m.seen.Load() }

// EverDenied reports whether an answer denied the metric.
func (m *Metric) EverDenied() bool { return m.denied.Load() != 0 }

// DeniedSince reports whether the last answer about the metric denied it, at t or later.
func (m *Metric) DeniedSince(t time.Time) bool { return m.denied.Load() >= t.UnixNano() && m.Denied() }

// Service is what answers told about the metrics of one service.
type Service struct {
	id          ID
	fingerprint Fingerprint
	clock       *clock // of the Tracker
	unresolved  bool   // its name is not one that the backend uses

	rest *Metric     // stands for those beyond maxUnproven
	used atomic.Bool // it is configured, or has an application

	mu         sync.RWMutex // guards what follows
	metrics    map[string]*Metric
	inferences map[Edge]inference // see edge.go
	plans      map[string]*plan   // the last one of each name
}

func newService() *Service {
	return &Service{metrics: make(map[string]*Metric), rest: newMetric("")}
}

// Find returns the metric of a name, or nil.
func (s *Service) Find(name string) *Metric {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.metrics[name]
}

// Metric returns the metric of a name, a new one if there is none.
func (s *Service) Metric(name string) *Metric {
	if m := s.Find(name); m != nil {
		return m
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.metrics[name]; m != nil {
		return m
	}
	if len(s.metrics) >= MaxMetrics {
		s.clearLocked()
	}
	m := newMetric(name)
	if len(s.metrics) < MaxMetrics {
		s.metrics[m.name] = m
	}
	return m
}

// clearLocked makes room: it forgets the names of which nothing is known but that answers denied them.
func (s *Service) clearLocked() {
	for name, m := range s.metrics {
		if m.denied.Load() != 0 && m.seen.Load() == 0 && !m.used.Load() {
			delete(s.metrics, name)
		}
	}
}

// Follow returns the metric under which usage of a name is counted that no answer has proved. There are fewer of them than
// metrics, so that wrong names leave room for right ones.
func (s *Service) Follow(name string) *Metric {
	s.mu.RLock()
	m, full := s.metrics[name], len(s.metrics) >= maxUnproven
	s.mu.RUnlock()
	switch {
	case m != nil:
		return m
	case full:
		return s.rest
	}
	return s.Metric(name)
}

// learn takes the direct children that an answer lists. It lists those of metrics with a limit, and no other ones (recording
// auth-ext-hierarchy).
func (s *Service) learn(list []threescale.MetricChildren, now time.Time) {
	for _, l := range list {
		parent := s.Metric(l.Metric)
		parent.MarkSeen(now)
		old := parent.children.Load()
		for _, name := range l.Children {
			child := s.Metric(name)
			child.MarkSeen(now)
			if !parent.under(child) {
				child.parent.Store(parent)
			}
		}
		if old != nil && slices.Equal(*old, l.Children) {
			continue
		}
		if old != nil {
			s.detach(parent, *old, l.Children)
		}
		children := slices.Clone(l.Children)
		parent.children.Store(&children)
	}
}

// detach removes the edges to children that a metric had and does not have any more.
func (s *Service) detach(parent *Metric, old, now []string) {
	for _, name := range old {
		if !slices.Contains(now, name) {
			s.Metric(name).parent.CompareAndSwap(parent, nil)
		}
	}
}

// parents returns the parents of the service's methods.
func (s *Service) parents() map[string]string {
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

// services holds every service that was asked about or reported for.
type services struct {
	mu   sync.RWMutex // guards byID
	byID map[ID]*Service
}

// clearLocked makes room: it forgets the services that were only asked for.
func (s *services) clearLocked() {
	for id, one := range s.byID {
		if !one.used.Load() {
			delete(s.byID, id)
		}
	}
}

// Service returns the service of a name, a new one if there is none. Beyond MaxServices the new one is not kept: each
// application learns about metrics for itself then.
func (t *Tracker) Service(n ServiceName) *Service {
	n = t.ResolveService(n)
	s, id := &t.services, n.Key()
	s.mu.RLock()
	found := s.byID[id]
	s.mu.RUnlock()
	if found != nil {
		return found
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if found = s.byID[id]; found != nil {
		return found
	}
	if len(s.byID) >= MaxServices {
		s.clearLocked()
	}
	found = newService()
	found.id, found.fingerprint = id, t.serviceFingerprint(n)
	found.clock, found.unresolved = &t.clock, n.Aliased()
	t.restored.service(found)
	if len(s.byID) < MaxServices {
		s.byID[id] = found
	}
	return found
}

// KeepService has the service of a name remembered, however many other services are asked for.
func (t *Tracker) KeepService(n ServiceName) { t.Service(n).used.Store(true) }

// Parents returns the parents of a service's methods, as far as answers told of them: of metrics that have a limit in some
// plan that was asked for.
func (t *Tracker) Parents(serviceID string) map[string]string {
	return t.Service(ServiceName{ID: serviceID}).parents()
}
