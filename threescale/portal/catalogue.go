package portal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"

	"github.com/reporterd/reporterd/threescale"
)

const (
	perPage   = 500  // the most that the portal gives, also when more is asked for
	mostPages = 2000 // of one collection: a million rows
)

// Text is an id or a number that the portal sends as either.
type Text string

// UnmarshalJSON takes text and numbers.
func (t *Text) UnmarshalJSON(data []byte) error {
	if bytes.Equal(data, []byte("null")) {
		return nil
	}
	if data[0] == '"' {
		return json.Unmarshal(data, (*string)(t))
	}
	*t = Text(data)
	return nil
}

// Service is a product, whose id is what reports name.
type Service struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	SystemName string `json:"system_name"`
	State      string `json:"state"`
	Version    Text   `json:"backend_version"` // 1: user keys; 2: application ids; oauth, oidc
}

// ServiceID is its id as reports write it.
func (s *Service) ServiceID() string { return strconv.FormatInt(s.ID, 10) }

// Application is an application of a service.
type Application struct {
	ID        int64  // the portal's own
	Reported  string // as the ledger calls it: its application id, or user_key: and the key's hash
	Name      string
	State     string
	ServiceID int64
	PlanID    int64
	PlanName  string
	AccountID int64
	Account   string
}

// Account is a developer account.
type Account struct {
	ID    int64  `json:"id"`
	Name  string `json:"org_name"`
	State string `json:"state"`
}

// Metric is a metric, or a method: then ParentID is not zero.
type Metric struct {
	ID         int64  `json:"id"`
	SystemName string `json:"system_name"` // what reports name
	Name       string `json:"friendly_name"`
	Unit       string `json:"unit"`
	ParentID   int64  `json:"parent_id"`
}

// Plan is an application plan.
type Plan struct {
	ID         int64  `json:"id"`
	Name       string `json:"name"`
	SystemName string `json:"system_name"`
}

// Limit is a limit of a plan.
type Limit struct {
	ID       int64  `json:"id"`
	Period   string `json:"period"`
	Value    int64  `json:"value"`
	MetricID int64  `json:"metric_id"`
	PlanID   int64  `json:"plan_id"`
}

// Services returns those that the token's owner may see.
func (c *Client) Services(ctx context.Context) ([]Service, error) {
	return list[Service](ctx, c, "/admin/api/services.json", "services", "service", nil, true)
}

// Accounts returns the developer accounts.
func (c *Client) Accounts(ctx context.Context) ([]Account, error) {
	return list[Account](ctx, c, "/admin/api/accounts.json", "accounts", "account", nil, true)
}

// Metrics returns the metrics and methods of a service, those of its backends included: name.<backend id>.
func (c *Client) Metrics(ctx context.Context, serviceID string) ([]Metric, error) {
	base := "/admin/api/services/" + url.PathEscape(serviceID)
	all, err := list[Metric](ctx, c, base+"/metrics.json", "metrics", "metric", nil, false)
	if err != nil {
		return nil, err
	}
	type usage struct {
		BackendID int64 `json:"backend_id"`
	}
	backends, err := list[usage](ctx, c, base+"/backend_usages.json", "backend_usages", "backend_usage", nil, false)
	if FaultOf(err) == FaultNotFound || FaultOf(err) == FaultHost { // portals before 2.7 have none
		return all, nil
	}
	for _, b := range backends {
		more, moreErr := list[Metric](ctx, c, fmt.Sprintf("/admin/api/backend_apis/%d/metrics.json", b.BackendID), "metrics", "metric", nil, true)
		if moreErr != nil {
			return nil, moreErr
		}
		all = append(all, more...)
	}
	return all, err
}

// Plans returns the application plans of a service.
func (c *Client) Plans(ctx context.Context, serviceID string) ([]Plan, error) {
	return list[Plan](ctx, c, "/admin/api/services/"+url.PathEscape(serviceID)+"/application_plans.json", "plans", "application_plan", nil, false)
}

// Limits returns the limits of a plan.
func (c *Client) Limits(ctx context.Context, planID int64) ([]Limit, error) {
	return list[Limit](ctx, c, fmt.Sprintf("/admin/api/application_plans/%d/limits.json", planID), "limits", "limit", nil, true)
}

// applicationRow is an application with its keys, which go no further than this file.
type applicationRow struct {
	ID            int64  `json:"id"`
	ApplicationID Text   `json:"application_id"`
	UserKey       string `json:"user_key"`
	ClientID      string `json:"client_id"`
	Name          string `json:"name"`
	State         string `json:"state"`
	ServiceID     int64  `json:"service_id"`
	PlanID        int64  `json:"plan_id"`
	PlanName      string `json:"plan_name"`
	AccountID     int64  `json:"account_id"`
	Account       string `json:"org_name"`
}

// Applications returns the applications of a service, or of all where it is empty. names says how an application is
// called that is only known by a key.
func (c *Client) Applications(ctx context.Context, serviceID string, names func(threescale.Application) string) ([]Application, error) {
	q := url.Values{}
	if serviceID != "" {
		q.Set("service_id", serviceID)
	}
	rows, err := list[applicationRow](ctx, c, "/admin/api/applications.json", "applications", "application", q, true)
	all := make([]Application, len(rows))
	for i, r := range rows {
		all[i] = Application{
			ID: r.ID, Name: r.Name, State: r.State, ServiceID: r.ServiceID, PlanID: r.PlanID, PlanName: r.PlanName, AccountID: r.AccountID, Account: r.Account,
		}
		switch {
		case r.ApplicationID != "":
			all[i].Reported = string(r.ApplicationID)
		case r.ClientID != "":
			all[i].Reported = r.ClientID
		case r.UserKey != "":
			all[i].Reported = names(threescale.Application{UserKey: r.UserKey})
		}
	}
	return all, err
}

// unwrapped is a collection's rows: below its name, or, of backend usages, without one.
func unwrapped(answer json.RawMessage, plural string) (rows []map[string]json.RawMessage, err error) {
	if bytes.HasPrefix(bytes.TrimSpace(answer), []byte("[")) {
		return rows, json.Unmarshal(answer, &rows)
	}
	var named map[string]json.RawMessage
	if err = json.Unmarshal(answer, &named); err == nil {
		err = json.Unmarshal(named[plural], &rows)
	}
	return rows, err
}

// list reads a collection, all pages of it: rows are wrapped twice, and a page that is shorter than the most is the last.
func list[T any](ctx context.Context, c *Client, path, plural, singular string, q url.Values, paged bool) ([]T, error) {
	var all []T
	if q == nil {
		q = url.Values{}
	}
	for page := 1; page <= mostPages; page++ {
		if paged {
			q.Set("page", strconv.Itoa(page))
			q.Set("per_page", strconv.Itoa(perPage))
		}
		var answer json.RawMessage
		if err := c.get(ctx, path, q, &answer); err != nil {
			return nil, err
		}
		rows, err := unwrapped(answer, plural)
		if err != nil {
			return nil, &Error{Fault: FaultUnexpected, Status: 200, Path: path, Text: "no " + plural + " in it"}
		}
		for _, wrapped := range rows {
			var row T
			if err := json.Unmarshal(wrapped[singular], &row); err != nil {
				return nil, &Error{Fault: FaultUnexpected, Status: 200, Path: path, Text: "a " + singular + " that is none"}
			}
			all = append(all, row)
		}
		if !paged || len(rows) < perPage {
			return all, nil
		}
	}
	return nil, &Error{Fault: FaultUnexpected, Status: 200, Path: path, Text: fmt.Sprintf("more than %d pages", mostPages)}
}
