package quota

import (
	"slices"
	"strings"

	"github.com/reporterd/reporterd/threescale"
)

// plan is what an answer says of an application beside its limits. Applications of one service share it while it is the same. It is
// immutable.
type plan struct {
	name     string
	children []threescale.MetricChildren // of the hierarchy extension
}

// maxPlans bounds how many plans of a service are remembered in order to be shared.
const maxPlans = 1000

// plan returns the plan of a name with the children that an answer listed.
func (s *Service) plan(name string, children []threescale.MetricChildren) *plan {
	s.mu.RLock()
	known := s.plans[name]
	s.mu.RUnlock()
	if known != nil && slices.EqualFunc(known.children, children, func(a, b threescale.MetricChildren) bool {
		return a.Metric == b.Metric && slices.Equal(a.Children, b.Children)
	}) {
		return known
	}
	p := &plan{name: strings.Clone(name), children: children}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.plans == nil || len(s.plans) >= maxPlans {
		s.plans = make(map[string]*plan)
	}
	s.plans[p.name] = p
	return p
}

// samePlan returns the service's own plan for one of another service, which may be nil.
func (s *Service) samePlan(p *plan) *plan {
	if p == nil {
		return nil
	}
	return s.plan(p.name, p.children)
}
