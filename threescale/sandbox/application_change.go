package sandbox

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/reporterd/reporterd/threescale"
)

// ApplicationChange creates an application or alters one: what is left out stays as it is, or for a new one
// is as the fixtures' app2 has it (plan Gold, no keys, active).
type ApplicationChange struct {
	ServiceID       string    `json:"service_id"`
	AppID           string    `json:"app_id"`
	UserKey         *string   `json:"user_key"`         // for services of backend_version 1, and for reports
	Plan            *string   `json:"plan"`             // Gold, Tight or Free, or any name beside limits
	Limits          *[]Limit  `json:"limits"`           // instead of the plan's own
	Keys            *[]string `json:"keys"`             // none: every key is right
	RedirectURL     *string   `json:"redirect_url"`     //
	ReferrerFilters *[]string `json:"referrer_filters"` // looked at where the service requires them
	State           string    `json:"state"`            // active, suspended or deleted
}

// Limit is the most a metric may count in a period: minute, hour, day, week, month, year or eternity.
type Limit struct {
	Metric string `json:"metric"`
	Period string `json:"period"`
	Max    uint64 `json:"max"`
}

const (
	stateActive    = "active"
	stateSuspended = "suspended"
	stateDeleted   = "deleted"
)

// PutApplications makes all the changes, or none and says why. What listener and worker remember is not
// touched: with caches on, they notice later, as the real ones do. Counters outlive a deleted application.
// One application appears once in changes.
func (s *Sandbox) PutApplications(changes ...ApplicationChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.directory.count+len(changes) > MaxApplications {
		return fmt.Errorf("more than %d applications", MaxApplications)
	}
	if s.counted()+len(changes) > 2*MaxApplications {
		return fmt.Errorf("more than %d applications, deleted ones included, since the last reset", 2*MaxApplications)
	}
	made := make([]*application, len(changes))
	for i := range changes {
		a, err := s.changed(&changes[i])
		if err != nil {
			return fmt.Errorf("application %d: %w", i, err)
		}
		made[i] = a
	}
	for i, a := range made {
		if changes[i].State == stateDeleted {
			s.directory.removeApplication(changes[i].ServiceID, a.id)
		} else {
			s.directory.putApplication(changes[i].ServiceID, a)
		}
	}
	return nil
}

// counted is the number of applications with counters, those that were deleted since included.
func (s *Sandbox) counted() int {
	n := 0
	for _, l := range s.ledgers {
		n += len(l.applications)
	}
	return n
}

// changed returns the application as it will be.
func (s *Sandbox) changed(c *ApplicationChange) (*application, error) {
	service := s.directory.service(c.ServiceID)
	if service == nil {
		return nil, fmt.Errorf("service_id: %q is not known", c.ServiceID)
	}
	if c.AppID == "" {
		return nil, errors.New("app_id: is missing")
	}
	a := &application{id: c.AppID, plan: goldPlan}
	if old := s.directory.application(c.ServiceID, c.AppID); old != nil {
		*a = *old
	}
	set(&a.userKey, c.UserKey)
	set(&a.keys, c.Keys)
	set(&a.redirectURL, c.RedirectURL)
	set(&a.filters, c.ReferrerFilters)
	if err := setState(&a.suspended, c.State, stateDeleted); err != nil {
		return nil, err
	}
	var err error
	if a.plan, err = c.plan(a.plan, service.metrics); err == nil && a.plan.number == 0 {
		s.directory.plans++
		a.plan.number = firstPlan + s.directory.plans
	}
	return a, err
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// setState reads a state; also is one more that is allowed.
func setState(suspended *bool, state, also string) error {
	switch state {
	case "", also:
	case stateActive:
		*suspended = false
	case stateSuspended:
		*suspended = true
	default:
		return fmt.Errorf("state: %q is none of active, suspended", state)
	}
	return nil
}

// plan returns the plan a change leads to.
func (c *ApplicationChange) plan(old *plan, h *hierarchy) (*plan, error) {
	name := old.name
	set(&name, c.Plan)
	if c.Limits == nil {
		if name == old.name {
			return old, nil
		}
		if known := plans[name]; known != nil {
			return known, nil
		}
		return nil, fmt.Errorf("plan: %q is none of Gold, Tight, Free, and comes without limits", name)
	}
	p := &plan{name: name}
	for _, l := range *c.Limits {
		metric, known := h.byName[l.Metric]
		if !known {
			return nil, fmt.Errorf("limits: metric %q is not known", l.Metric)
		}
		period, known := threescale.ParsePeriod(l.Period)
		if !known {
			return nil, fmt.Errorf("limits: period %q is none of minute, hour, day, week, month, year, eternity", l.Period)
		}
		p.limits = append(p.limits, limit{metric: metric, period: period, maximum: min(l.Max, overflow)})
	}
	slices.SortFunc(p.limits, byMetric)
	return p, nil
}

func byMetric(a, b limit) int {
	return cmp.Or(cmp.Compare(a.metric, b.metric), cmp.Compare(a.period, b.period))
}
