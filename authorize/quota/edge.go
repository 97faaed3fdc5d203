package quota

import (
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

const (
	// apartLife is how long it is remembered that an edge does not exist, and openLife how long it is not probed again when a
	// probe could not tell.
	apartLife = time.Hour
	openLife  = 5 * time.Minute
)

// Edge is a possible edge of the metric hierarchy: a metric, and a metric that may be its ancestor.
type Edge struct{ Below, Above *Metric }

// inference is the cached result of a probe that did not find the edge.
type inference struct {
	apart bool // the edge does not exist; else the probe could not tell
	until time.Time
}

// inferred returns the cached result about an edge.
func (s *Service) inferred(e Edge, now time.Time) (i inference, ok bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	i, ok = s.inferences[e]
	return i, ok && now.Before(i.until)
}

func (s *Service) infer(e Edge, i inference) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inferences == nil || len(s.inferences) >= MaxMetrics {
		s.inferences = make(map[Edge]inference)
	}
	s.inferences[e] = i
}

// InferApart notes that usage of e.Below does not count for e.Above.
func (s *Service) InferApart(e Edge, now time.Time) { s.infer(e, inference{true, now.Add(apartLife)}) }

// InferOpen notes that a probe could not tell.
func (s *Service) InferOpen(e Edge, now time.Time) { s.infer(e, inference{false, now.Add(openLife)}) }

// Possible reports whether e.Below may lie below e.Above, as far as is known.
func (s *Service) Possible(e Edge, now time.Time) bool {
	i, ok := s.inferred(e, now)
	return !e.Below.under(e.Above) && !e.Above.under(e.Below) && !(ok && i.apart)
}

// Open reports whether an edge is possible and was not probed recently.
func (s *Service) Open(e Edge, now time.Time) bool {
	_, ok := s.inferred(e, now)
	return !ok && s.Possible(e, now)
}

// Headroom is what is left of a metric's limits, the least of all periods; negative when one is exceeded.
type Headroom struct {
	Metric *Metric
	Left   int64
}

// Headrooms are those of the limits in an answer, the tightest first.
func (s *Service) Headrooms(st *threescale.Status) []Headroom {
	var all []Headroom
	for i := range st.UsageReports {
		u := &st.UsageReports[i]
		m, left := s.Metric(u.Metric), u.MaxValue-u.CurrentValue
		if at := slices.IndexFunc(all, func(h Headroom) bool { return h.Metric == m }); at >= 0 {
			all[at].Left = min(all[at].Left, left)
		} else {
			all = append(all, Headroom{m, left})
		}
	}
	slices.SortStableFunc(all, func(a, b Headroom) int {
		switch {
		case a.Left < b.Left:
			return -1
		case a.Left > b.Left:
			return 1
		}
		return 0
	})
	return all
}

// SetParent makes e.Above the parent of e.Below, of which no parent is known.
func (e Edge) SetParent() { e.Below.parent.Store(e.Above) }

// Join puts e.Above into the hierarchy above e.Below: below the ancestors that it is known to have itself, and above those
// that it is known not to have. It returns false, and changes nothing, while one of them is not known.
func (s *Service) Join(e Edge, now time.Time) bool {
	for m := e.Below; ; {
		parent := m.parent.Load()
		switch {
		case parent == nil, e.Above.under(parent): // the way up from e.Above leads to parent
			m.parent.Store(e.Above)
			return true
		case s.Possible(Edge{e.Above, parent}, now):
			return false
		}
		m = parent
	}
}
