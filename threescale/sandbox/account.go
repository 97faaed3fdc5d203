package sandbox

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// object is a JSON object whose keys are sent in alphabetical order.
type object = map[string]any

// perPage is the most rows of a page, and what is sent when another number than 1 to 500 was asked for.
const perPage = 500

// developer is an account.
type developer struct {
	id   int64
	name string
}

// developers are the accounts that the applications belong to, by turns.
var developers = []developer{{2445582571511, "ACME"}, {2445582571512, "Globex"}, {2445582571513, "Initech"}}

// serviceNames are those of the fixtures; further ones are called by their ids.
var serviceNames = map[string]string{
	"1001": "Orders", "1002": "Search", "1003": "Payments", "1004": "Referrals", "1005": "Archive", "2001": "Elsewhere",
}

func (s *service) name() string { return cmp.Or(serviceNames[s.id], "Service "+s.id) }

// number is an id of the real portal, which are all numbers; a service created with another has none, and
// the portal does not show it.
func (s *service) number() (int64, bool) {
	n, err := strconv.ParseInt(s.id, 10, 64)
	return n, err == nil
}

// account answers the Account Management API. The caller holds s.mu.
func (s *Sandbox) account(q *query) (any, error) {
	switch {
	case q.is("services"):
		return page(q, "services", s.portalServices(q), s.showService), nil
	case q.is("accounts"):
		return page(q, "accounts", s.accounts(), showAccount), nil
	case q.is("applications"):
		return page(q, "applications", s.portalApplications(q, q.URL.Query()), s.showApplication), nil
	case q.is("accounts/*/applications"):
		all := s.portalApplications(q, url.Values{"account_id": {q.path[1]}})
		return collection("applications", all, s.showApplication), nil
	case q.is("applications/find"):
		return s.findApplication(q)
	case q.is("backend_apis/*/metrics"):
		return s.backendMetrics(q)
	case q.is("application_plans/*/limits"):
		return s.planLimits(q)
	}
	if len(q.path) < 3 || q.path[0] != "services" {
		return nil, notFound()
	}
	one, err := s.portalService(q, q.path[1])
	if err != nil {
		return nil, err
	}
	return s.serviceDetail(q, one)
}

// serviceDetail answers what lies below one service.
func (s *Sandbox) serviceDetail(q *query, one *service) (any, error) {
	switch {
	case q.is("services/*/metrics"):
		return collection("metrics", metricsOf(one, own), showMetric("metric")), nil
	case q.is("services/*/metrics/*/methods"):
		parent := slices.IndexFunc(one.metrics.metrics, func(m metric) bool { return metricID(one.id, one.metrics.byName[m.name]) == q.path[3] })
		if parent < 0 {
			return nil, notFound()
		}
		return collection("methods", metricsOf(one, func(m metric) bool { return own(m) && m.parent == parent }), showMetric("method")), nil
	case q.is("services/*/proxy/configs/production/latest"):
		return s.proxyConfig(one)
	case q.is("services/*/backend_usages"):
		return usagesOf(one), nil
	case q.is("services/*/application_plans"):
		return collection("plans", s.plansOf(one), showPlan), nil
	}
	return nil, notFound()
}

// page is one page of a collection, as page and per_page say. Values out of range become 1 and 500 in
// silence, and metadata appears when there is more than one page.
func page[T any](q *query, name string, rows []T, show func(T) object) object {
	params := q.URL.Query()
	size, err := strconv.Atoi(params.Get("per_page"))
	if err != nil || size < 1 || size > perPage {
		size = perPage
	}
	at, err := strconv.Atoi(params.Get("page"))
	if err != nil || at < 1 {
		at = 1
	}
	first := min((at-1)*size, len(rows))
	answer := collection(name, rows[first:min(first+size, len(rows))], show)
	if pages := (len(rows) + size - 1) / size; pages > 1 {
		answer["metadata"] = object{"per_page": size, "total_entries": len(rows), "total_pages": pages, "current_page": at}
	}
	return answer
}

// collection wraps twice, as the portal does.
func collection[T any](name string, rows []T, show func(T) object) object {
	all := make([]object, len(rows))
	for i, row := range rows {
		all[i] = show(row)
	}
	return object{name: all}
}

// portalServices are those a token sees, by id.
func (s *Sandbox) portalServices(q *query) []*service {
	var all []*service
	for _, one := range s.directory.services {
		if _, ok := one.number(); ok && one.provider == ownerKey && q.grant.sees(one.id) {
			all = append(all, one)
		}
	}
	slices.SortFunc(all, func(a, b *service) int { return cmp.Compare(a.id, b.id) })
	return all
}

func (s *Sandbox) portalService(q *query, id string) (*service, error) {
	one := s.directory.service(id)
	if one == nil || one.provider != ownerKey || !q.grant.sees(id) {
		return nil, notFound()
	}
	return one, nil
}

func (s *Sandbox) showService(one *service) object {
	n, _ := one.number()
	state := "incomplete"
	if one.suspended {
		state = "suspended"
	}
	return object{"service": object{
		"id": n, "name": one.name(), "system_name": strings.ToLower(strings.ReplaceAll(one.name(), " ", "_")),
		"state": state, "backend_version": one.version, "deployment_option": "hosted",
	}}
}

// accounts are those that there are.
func (s *Sandbox) accounts() []developer { return slices.Concat(developers, s.directory.accounts) }

func showAccount(d developer) object {
	return object{"account": object{"id": d.id, "state": "approved", "org_name": d.name, "credit_card_stored": false}}
}

// metricRow is a metric of a service.
type metricRow struct {
	service *service
	index   int
}

// applicationRow is an application with its service.
type applicationRow struct {
	service *service
	*application
}

// portalApplications are the applications a token sees and a query chooses, by number.
func (s *Sandbox) portalApplications(q *query, filter url.Values) []applicationRow {
	var rows []applicationRow
	for _, one := range s.portalServices(q) {
		if want := filter.Get("service_id"); want != "" && want != one.id {
			continue
		}
		for _, a := range s.directory.members[one.id].byID {
			if row := (applicationRow{one, a}); row.matches(filter) {
				rows = append(rows, row)
			}
		}
	}
	slices.SortFunc(rows, func(a, b applicationRow) int { return cmp.Compare(a.number, b.number) })
	return rows
}

func (a applicationRow) matches(filter url.Values) bool {
	for name, value := range map[string]string{
		"plan_id": strconv.FormatInt(a.plan.number, 10), "state": a.state(), "user_key": a.userKey, "name": a.title(),
		"account_id": strconv.FormatInt(a.developer(), 10),
	} {
		if want := filter.Get(name); want != "" && want != value {
			return false
		}
	}
	return true
}

func (a *application) state() string {
	if a.suspended {
		return "suspended"
	}
	return "live"
}

func (a *application) title() string { return cmp.Or(a.name, "Application "+a.id) }

func (a *application) developer() int64 {
	if a.account != 0 {
		return a.account
	}
	return developers[a.number%int64(len(developers))].id
}

// showApplication shows everything the real portal does, secrets included: readers must drop them.
func (s *Sandbox) showApplication(a applicationRow) object {
	n, _ := a.service.number()
	row := object{
		"id": a.number, "state": a.state(), "enabled": !a.suspended, "service_id": n, "service_name": a.service.name(),
		"plan_id": a.plan.number, "plan_name": a.plan.name, "account_id": a.developer(),
		"org_name": s.organisation(a.developer()),
		"name":     a.title(), "provider_verification_key": "verification-" + strconv.FormatInt(a.number, 10),
	}
	switch a.service.version {
	case versionUserKey:
		row["user_key"] = a.userKey
	case versionOAuth:
		row["application_id"], row["client_id"], row["client_secret"] = a.id, a.id, "secret-"+a.key()
	default:
		row["application_id"] = a.id
	}
	return object{"application": row}
}

func (s *Sandbox) organisation(account int64) string {
	for _, d := range s.accounts() {
		if d.id == account {
			return d.name
		}
	}
	return ""
}

// findApplication answers applications/find.json: user_key finds in services of backend_version 1 only,
// app_id in other ones only.
func (s *Sandbox) findApplication(q *query) (any, error) {
	params := q.URL.Query()
	for _, a := range s.portalApplications(q, url.Values{"service_id": params["service_id"]}) {
		byKey := a.service.version == versionUserKey && params.Get("user_key") != "" && a.userKey == params.Get("user_key")
		byID := a.service.version != versionUserKey && params.Get("app_id") != "" && a.id == params.Get("app_id")
		if byKey || byID || params.Get("application_id") == strconv.FormatInt(a.number, 10) {
			return s.showApplication(a), nil
		}
	}
	return nil, notFound()
}

// applicationByNumber finds an application by the portal's id. The caller holds s.mu.
func (s *Sandbox) applicationByNumber(q *query, number string) (applicationRow, error) {
	n, err := strconv.ParseInt(number, 10, 64)
	if err == nil {
		for _, one := range s.portalServices(q) {
			for _, a := range s.directory.members[one.id].byID {
				if a.number == n {
					return applicationRow{one, a}, nil
				}
			}
		}
	}
	return applicationRow{}, refuse(http.StatusNotFound, "Application not found")
}
