package sandbox

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/reporterd/reporterd/threescale"
)

// created is what the portal answers to a POST that made something: 201.
func created(body object) error { return &refusal{http.StatusCreated, body} }

// changePortal makes and deletes what receipts need: metrics, plans, limits, accounts and applications. Of what the real
// portal does, it knows no more. The caller holds s.mu.
func (s *Sandbox) changePortal(q *query) (any, error) {
	if q.Method == http.MethodPost {
		switch {
		case q.is("signup"):
			return nil, s.signUp(q)
		case q.is("application_plans/*/metrics/*/limits"):
			return nil, s.postLimit(q)
		case q.is("accounts/*/applications"):
			return nil, s.postApplication(q)
		}
	} else if q.is("accounts/*/applications/*") {
		return s.deleteApplication(q)
	}
	if len(q.path) < 3 || q.path[0] != "services" {
		return nil, notFound()
	}
	one, err := s.portalService(q, q.path[1])
	if err != nil {
		return nil, err
	}
	switch post := q.Method == http.MethodPost; {
	case post && q.is("services/*/metrics"):
		return nil, s.postMetric(q, one)
	case post && q.is("services/*/application_plans"):
		return nil, s.postPlan(q, one)
	case !post && q.is("services/*/metrics/*"):
		return s.deleteMetric(q, one)
	case !post && q.is("services/*/application_plans/*"):
		return s.deletePlan(q, one)
	}
	return nil, notFound()
}

// invalid is how the portal refuses a form.
func invalid(field, why string) error {
	return &refusal{http.StatusUnprocessableEntity, object{"errors": object{field: []string{why}}}}
}

// replace puts a service that has changed in the place of the one before.
func (s *Sandbox) replace(one *service, c ServiceChange) (*service, error) {
	changed := *one
	if err := changed.change(&c); err != nil {
		return nil, invalid("system_name", err.Error())
	}
	s.directory.putService(&changed)
	return &changed, nil
}

func (s *Sandbox) postMetric(q *query, one *service) error {
	name := q.Form.Get("system_name")
	if name == "" || q.Form.Get("friendly_name") == "" {
		return invalid("friendly_name", "can't be blank")
	}
	changed, err := s.replace(one, ServiceChange{Metrics: []Metric{{Name: name}}})
	if err != nil {
		return err
	}
	return created(showMetric("metric")(metricRow{changed, changed.metrics.byName[name]}))
}

func (s *Sandbox) deleteMetric(q *query, one *service) (any, error) {
	for _, row := range metricsOf(one, own) {
		if strconv.FormatInt(row.id(), 10) == q.path[3] {
			_, err := s.replace(one, ServiceChange{DeletedMetrics: []string{one.metrics.metrics[row.index].name}})
			return nil, err
		}
	}
	return nil, notFound()
}

func (s *Sandbox) postPlan(q *query, one *service) error {
	name := q.Form.Get("name")
	switch {
	case name == "":
		return invalid("name", "can't be blank")
	case slices.ContainsFunc(s.plansOf(one), func(p *plan) bool { return p.name == name }):
		return invalid("system_name", "has already been taken")
	}
	s.directory.plans++
	p := &plan{number: firstPlan + s.directory.plans, name: name}
	s.directory.portalPlans[one.id] = append(s.directory.portalPlans[one.id], p)
	return created(showPlan(p))
}

// planByNumber finds a plan and the service it is of.
func (s *Sandbox) planByNumber(q *query, number string) (*service, *plan) {
	for _, one := range s.portalServices(q) {
		for _, p := range s.plansOf(one) {
			if strconv.FormatInt(p.number, 10) == number {
				return one, p
			}
		}
	}
	return nil, nil
}

func (s *Sandbox) deletePlan(q *query, one *service) (any, error) {
	of, p := s.planByNumber(q, q.path[3])
	if of != one {
		return nil, notFound()
	}
	for _, a := range s.directory.members[one.id].byID {
		if a.plan == p {
			return nil, &refusal{http.StatusForbidden, object{"errors": object{"base": []string{"This application plan cannot be deleted: it has applications"}}}}
		}
	}
	s.directory.portalPlans[one.id] = slices.DeleteFunc(slices.Clone(s.directory.portalPlans[one.id]), func(o *plan) bool { return o == p })
	return nil, nil
}

func (s *Sandbox) postLimit(q *query) error {
	one, p := s.planByNumber(q, q.path[1])
	if p == nil {
		return notFound()
	}
	period, known := threescale.ParsePeriod(q.Form.Get("period"))
	value, err := strconv.ParseUint(q.Form.Get("value"), 10, 64)
	for _, row := range metricsOf(one, own) {
		if strconv.FormatInt(row.id(), 10) != q.path[3] {
			continue
		}
		taken := slices.ContainsFunc(p.limits, func(l limit) bool { return l.metric == row.index && l.period == period })
		if !known || err != nil || taken {
			return invalid("period", "is invalid, or has already been taken")
		}
		p.limits = append(slices.Clone(p.limits), limit{metric: row.index, period: period, maximum: min(value, overflow)})
		slices.SortFunc(p.limits, byMetric)
		return created(object{"limit": object{"period": period.String(), "value": value, "metric_id": row.id(), "plan_id": p.number}})
	}
	return notFound()
}

// signUp makes a developer account. The real portal makes a user in it, too.
func (s *Sandbox) signUp(q *query) error {
	for _, field := range []string{"org_name", "username", "email", "password"} {
		if q.Form.Get(field) == "" {
			return invalid(field, "can't be blank")
		}
	}
	d := developer{firstAccount + int64(len(s.directory.accounts)), q.Form.Get("org_name")}
	s.directory.accounts = append(s.directory.accounts, d)
	return created(showAccount(d))
}

func (s *Sandbox) postApplication(q *query) error {
	account, err := strconv.ParseInt(q.path[1], 10, 64)
	if err != nil || !slices.ContainsFunc(s.accounts(), func(d developer) bool { return d.id == account }) {
		return notFound()
	}
	one, p := s.planByNumber(q, q.Form.Get("plan_id"))
	if p == nil {
		return notFound()
	}
	a := &application{id: q.Form.Get("application_id"), userKey: q.Form.Get("user_key"), plan: p, account: account, name: q.Form.Get("name")}
	if a.id == "" {
		a.id = fmt.Sprint("application-", s.directory.numbers+1)
	}
	switch d := s.directory; {
	case d.application(one.id, a.id) != nil, a.userKey != "" && d.applicationByUserKey(one.id, a.userKey) != nil:
		return invalid("application_id", "has already been taken")
	case d.count >= MaxApplications:
		return invalid("base", "there are too many applications")
	}
	s.directory.putApplication(one.id, a)
	return created(s.showApplication(applicationRow{one, a}))
}

func (s *Sandbox) deleteApplication(q *query) (any, error) {
	row, err := s.applicationByNumber(q, q.path[3])
	if err != nil || strconv.FormatInt(row.developer(), 10) != q.path[1] {
		return nil, notFound()
	}
	s.directory.removeApplication(row.service.id, row.application.id)
	return nil, nil
}
