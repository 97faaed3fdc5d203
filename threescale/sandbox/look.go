package sandbox

import (
	"slices"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// Usage returns what was counted since the start or the last reset, by service, application and metric,
// ancestors included. Jobs still queued are not in it: see Settle.
func (s *Sandbox) Usage() map[string]map[string]map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	usage := make(map[string]map[string]map[string]uint64, len(s.ledgers))
	for serviceID, l := range s.ledgers {
		applications := make(map[string]map[string]uint64, len(l.applications))
		for id, c := range l.applications {
			if totals := s.totals(serviceID, c); len(totals) > 0 {
				applications[id] = totals
			}
		}
		if len(applications) > 0 {
			usage[serviceID] = applications
		}
	}
	return usage
}

// totals returns the counters of eternity, by metric.
func (s *Sandbox) totals(serviceID string, c *counters) map[string]uint64 {
	totals := make(map[string]uint64, len(c.usage))
	for i, metric := range s.directory.service(serviceID).metrics.metrics {
		if n := c.value(i, threescale.Eternity, time.Time{}); n > 0 {
			totals[metric.name] += n
		}
	}
	return totals
}

// PeriodCounters are the counters of one metric or one response code: by the period's name, then by its
// start in RFC 3339; that of eternity is "".
type PeriodCounters map[string]map[string]uint64

// Counted is everything counted for one application, or for a service over all of them.
type Counted struct {
	Metrics map[string]PeriodCounters `json:"metrics"`
	Codes   map[string]PeriodCounters `json:"codes"` // "200", "2XX"
}

// Counters returns the counters of an application, or without appID those of the service.
func (s *Sandbox) Counters(serviceID, appID string) Counted {
	s.mu.Lock()
	defer s.mu.Unlock()
	counted := Counted{Metrics: map[string]PeriodCounters{}, Codes: map[string]PeriodCounters{}}
	service, l := s.directory.service(serviceID), s.ledgers[serviceID]
	if service == nil || l == nil {
		return counted
	}
	c := &l.total
	if appID != "" {
		c = l.applications[appID]
	}
	if c == nil {
		return counted
	}
	now := s.clock(s.now())
	for i, one := range c.usage {
		if p := one.periodCounters(now); len(p) > 0 {
			counted.Metrics[service.metrics.metrics[i].name] = p
		}
	}
	for code, one := range c.codes {
		counted.Codes[code] = one.periodCounters(now)
	}
	return counted
}

// periodCounters lays a series out.
func (s *series) periodCounters(now time.Time) PeriodCounters {
	if s == nil {
		return nil
	}
	p := PeriodCounters{}
	for i := range s.buckets {
		b := &s.buckets[i]
		if b.expired(now) {
			continue
		}
		name, start := b.period().String(), ""
		if b.period() != threescale.Eternity {
			start = b.start().Format(time.RFC3339)
		}
		if p[name] == nil {
			p[name] = map[string]uint64{}
		}
		p[name][start] = b.value
	}
	return p
}

// Calls returns the figures since the start or the last reset.
func (s *Sandbox) Calls() Calls {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Errors returns the errors stored, oldest first; a thousand at most are kept.
func (s *Sandbox) Errors() []IntegrationError {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]IntegrationError{}, s.errors...)
}

// Faults returns the faults still to come.
func (s *Sandbox) Faults() Faults {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.faults.clone()
}

// SetFaults replaces all faults. It refuses what no fault could mean, and then changes nothing.
func (s *Sandbox) SetFaults(f Faults) error {
	if err := f.check(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	s.work(now)
	if s.stopped() {
		s.free = now // what waits is worked off from now on, by the clock that is right now
	}
	s.faults = f.clone()
	s.startProcesses()
	return nil
}

func (f Faults) clone() Faults {
	return Faults{
		Report: slices.Clone(f.Report), Authorize: slices.Clone(f.Authorize), Authrep: slices.Clone(f.Authrep),
		Analytics: slices.Clone(f.Analytics), Account: slices.Clone(f.Account),
		Worker: slices.Clone(f.Worker), Backend: f.Backend,
	}
}

// figures are what a PUT of services or applications answers.
func (s *Sandbox) figures() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return map[string]int{"services": len(s.directory.services), "applications": s.directory.count}
}
