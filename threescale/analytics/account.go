package analytics

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// perPage is the most rows of a page, and what is sent when another number than 1 to 500 was asked for.
const perPage = 500

type object = map[string]any

// account answers the Account Management API, as far as a dashboard reads it. No credential is ever in an answer.
func (c *call) account() (any, error) {
	if c.path[0] == "services" {
		return c.accountServices()
	}
	switch {
	case c.is("applications"), c.is("applications/find"), c.is("accounts"), c.is("accounts/*/applications"):
	case c.is("applications/*"):
	default:
		return nil, notFound()
	}
	all, err := c.applications()
	if err != nil {
		return nil, err
	}
	switch {
	case c.is("applications/find"):
		return c.findApplication(all)
	case c.is("accounts"):
		return page(c, "accounts", accountsOf(all), showAccount), nil
	case c.is("accounts/*/applications"):
		id := c.path[1]
		all = slices.DeleteFunc(all, func(a Application) bool { return strconv.FormatInt(a.AccountID, 10) != id })
		return collection("applications", all, showApplication), nil
	case c.is("applications/*"):
		for i := range all {
			if strconv.FormatInt(all[i].ID, 10) == c.path[1] {
				return showApplication(all[i]), nil
			}
		}
		return nil, notFound()
	}
	return page(c, "applications", all, showApplication), nil
}

// accountServices answers what lies below services.
func (c *call) accountServices() (any, error) {
	all, err := c.Source.Services(c.ctx)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(slices.Clone(all), func(s Service) bool { return !c.grant.Serves(s.Key) })
	if len(c.path) == 1 {
		return page(c, "services", all, showService), nil
	}
	at := slices.IndexFunc(all, func(s Service) bool { return strconv.FormatInt(s.ID, 10) == c.path[1] })
	if at < 0 {
		return nil, notFound()
	}
	if len(c.path) == 2 {
		return showService(all[at]), nil
	}
	metrics, err := c.Source.Metrics(c.ctx, all[at].Key)
	switch {
	case err != nil:
		return nil, err
	case c.is("services/*/metrics"):
		return collection("metrics", metrics, showMetric("metric")), nil
	case c.is("services/*/metrics/*/methods"):
		metrics = slices.DeleteFunc(slices.Clone(metrics), func(m Metric) bool { return m.ParentID == 0 || strconv.FormatInt(m.ParentID, 10) != c.path[3] })
		return collection("methods", metrics, showMetric("method")), nil
	}
	return nil, notFound()
}

// applications are those that the token's holder may see and the query chooses, by id.
func (c *call) applications() ([]Application, error) {
	services, err := c.Source.Services(c.ctx)
	if err != nil {
		return nil, err
	}
	var all []Application
	for _, s := range services {
		if want := c.params.Get("service_id"); !c.grant.Serves(s.Key) || want != "" && want != strconv.FormatInt(s.ID, 10) {
			continue
		}
		own, err := c.Source.Applications(c.ctx, s.Key)
		if err != nil {
			return nil, err
		}
		for i := range own {
			if c.chooses(&own[i]) {
				all = append(all, own[i])
			}
		}
	}
	slices.SortFunc(all, func(a, b Application) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

func (c *call) chooses(a *Application) bool {
	for name, value := range map[string]string{
		"plan_id": strconv.FormatInt(a.PlanID, 10), "state": a.State, "name": a.Name, "account_id": strconv.FormatInt(a.AccountID, 10),
	} {
		if want := c.params.Get(name); want != "" && want != value {
			return false
		}
	}
	return true
}

// findApplication answers applications/find.json. A user key is found by its hash.
func (c *call) findApplication(all []Application) (any, error) {
	key, byKey := c.params.Get("user_key"), c.params.Has("user_key")
	for _, a := range all {
		switch {
		case byKey && key != "" && a.Key == HashedKey(key),
			c.params.Get("app_id") != "" && a.Key == c.params.Get("app_id"),
			c.params.Get("application_id") == strconv.FormatInt(a.ID, 10):
			return showApplication(a), nil
		}
	}
	return nil, notFound()
}

// page is one page of a collection. Values out of range become 1 and 500 in silence, and metadata appears when there
// is more than one page.
func page[T any](c *call, name string, rows []T, show func(T) object) object {
	size, err := strconv.Atoi(c.params.Get("per_page"))
	if err != nil || size < 1 || size > perPage {
		size = perPage
	}
	pages := (len(rows) + size - 1) / size
	at, err := strconv.Atoi(c.params.Get("page"))
	if err != nil || at < 1 {
		at = 1
	}
	first := len(rows)
	if at <= pages {
		first = (at - 1) * size
	}
	answer := collection(name, rows[first:min(first+size, len(rows))], show)
	if pages > 1 {
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

func showService(s Service) object {
	row := object{"id": s.ID, "name": s.Name, "system_name": s.SystemName, "state": s.State}
	if s.BackendVersion != "" {
		row["backend_version"] = s.BackendVersion
	}
	return object{"service": row}
}

func showMetric(noun string) func(Metric) object {
	return func(m Metric) object {
		row := object{"id": m.ID, "name": m.SystemName, "system_name": m.SystemName, "friendly_name": m.Name, "unit": m.Unit}
		if m.ParentID != 0 {
			row["parent_id"] = m.ParentID
		}
		return object{noun: row}
	}
}

func showApplication(a Application) object {
	row := object{"id": a.ID, "name": a.Name, "state": a.State, "enabled": a.State == "live", "service_id": a.ServiceID, "service_name": a.ServiceName}
	if !strings.HasPrefix(a.Key, hashedPrefix) {
		row["application_id"] = a.Key
	}
	if a.PlanID != 0 {
		row["plan_id"], row["plan_name"] = a.PlanID, a.PlanName
	}
	if a.AccountID != 0 {
		row["account_id"], row["org_name"] = a.AccountID, a.AccountName
	}
	return object{"application": row}
}

type account struct {
	id   int64
	name string
}

func accountsOf(all []Application) []account {
	var list []account
	for _, a := range all {
		if a.AccountID != 0 {
			list = append(list, account{a.AccountID, a.AccountName})
		}
	}
	slices.SortFunc(list, func(a, b account) int { return cmp.Compare(a.id, b.id) })
	return slices.CompactFunc(list, func(a, b account) bool { return a.id == b.id })
}

func showAccount(a account) object {
	return object{"account": object{"id": a.id, "state": "approved", "org_name": a.name}}
}
