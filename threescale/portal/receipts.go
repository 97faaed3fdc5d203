package portal

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/reporterd/reporterd/threescale"
)

// What the portal calls the receipts of a service.
const (
	receiptPlan    = "reporterd-receipts"
	receiptAccount = "reporterd receipts"
	receiptMost    = 1 << 62 // the limit of a receipt metric
)

// Step is one change in the portal. Steps are done in their order, since later ones need what earlier ones made.
type Step struct {
	What string                          // for people: create metric reporterd_r0
	Do   func(ctx context.Context) error // makes one call
}

// receipts are what the portal has of a service's receipts; 0: nothing yet.
type receipts struct {
	*Client
	service  string
	userKeys bool
	metrics  map[string]int64
	hits     int64
	plan     int64
	account  int64
	limits   map[string]bool // metric's id and period
	apps     map[string]Application
}

// readReceipts reads what there is.
func (c *Client) readReceipts(ctx context.Context, service string) (*receipts, error) {
	r := &receipts{Client: c, service: service, metrics: map[string]int64{}, limits: map[string]bool{}, apps: map[string]Application{}}
	services, err := c.Services(ctx)
	if err != nil {
		return nil, err
	}
	known := false
	for i := range services {
		if services[i].ServiceID() == service {
			known, r.userKeys = true, services[i].Version == "1"
		}
	}
	if !known {
		return nil, fmt.Errorf("portal: there is no service %s, or the token does not see it", service)
	}
	metrics, err := c.Metrics(ctx, service)
	if err != nil {
		return nil, err
	}
	for _, m := range metrics {
		r.metrics[m.SystemName] = m.ID
	}
	r.hits = r.metrics["hits"]
	plans, err := c.Plans(ctx, service)
	if err != nil {
		return nil, err
	}
	for _, p := range plans {
		if p.SystemName == receiptPlan || p.Name == receiptPlan {
			r.plan = p.ID
		}
	}
	return r, r.readPlan(ctx)
}

// readPlan reads the limits and the applications of the plan, if there is one, and finds the account.
func (r *receipts) readPlan(ctx context.Context) error {
	accounts, err := r.Accounts(ctx)
	if err != nil {
		return err
	}
	for _, a := range accounts {
		if a.Name == receiptAccount {
			r.account = a.ID
		}
	}
	if r.plan == 0 {
		return nil
	}
	limits, err := r.Limits(ctx, r.plan)
	if err != nil {
		return err
	}
	for _, l := range limits {
		r.limits[limitName(l.MetricID, l.Period)] = true
	}
	apps, err := r.Applications(ctx, r.service, func(threescale.Application) string { return "" })
	for _, a := range apps {
		if a.PlanID == r.plan {
			r.apps[a.Name] = a
		}
	}
	return err
}

func limitName(metric int64, period string) string { return fmt.Sprint(metric, " ", period) }

// SetUpReceipts returns what is missing of the receipts of a service, by these names; nothing: all is there. It changes nothing.
func (c *Client) SetUpReceipts(ctx context.Context, service string, applications, metrics []string) (steps []Step, err error) {

	r, err := c.readReceipts(ctx, service)
	if err != nil {
		return nil, err
	}
	add := func(do func(context.Context) error, what string, args ...any) {
		steps = append(steps, Step{fmt.Sprintf(what, args...), do})
	}
	for _, name := range metrics {
		if r.metrics[name] == 0 {
			add(r.createMetric(name), "create metric %s in service %s", name, service)
		}
	}
	if r.plan == 0 {
		add(r.createPlan, "create application plan %s in service %s", receiptPlan, service)
	}
	for _, name := range metrics {
		if !r.limits[limitName(r.metrics[name], "eternity")] {
			add(r.createLimit(name, "eternity", receiptMost), "create limit of %d for eternity on %s", receiptMost, name)
		}
	}
	if r.hits != 0 && !r.limits[limitName(r.hits, "minute")] {
		add(r.createLimit("hits", "minute", 0), "create limit of 0 a minute on hits, so that these applications cannot be used to call the API")
	}
	if r.account == 0 {
		add(r.createAccount, "create developer account %q", receiptAccount)
	}
	for _, name := range applications {
		if _, there := r.apps[name]; !there {
			add(r.createApplication(name), "create application %s in service %s", name, service)
		}
	}
	return steps, nil
}

func (r *receipts) servicePath(rest string) string {
	return "/admin/api/services/" + url.PathEscape(r.service) + rest
}

func (r *receipts) createMetric(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		var made struct{ Metric Metric }
		err := r.change(ctx, http.MethodPost, r.servicePath("/metrics.json"), url.Values{"friendly_name": {name}, "system_name": {name}, "unit": {"report"}}, &made)
		r.metrics[name] = made.Metric.ID
		return err
	}
}

func (r *receipts) createPlan(ctx context.Context) error {
	var made struct {
		Plan Plan `json:"application_plan"`
	}
	err := r.change(ctx, http.MethodPost, r.servicePath("/application_plans.json"), url.Values{"name": {receiptPlan}, "system_name": {receiptPlan}}, &made)
	r.plan = made.Plan.ID
	return err
}

func (r *receipts) createLimit(metric, period string, value int64) func(context.Context) error {
	return func(ctx context.Context) error {
		path := fmt.Sprintf("/admin/api/application_plans/%d/metrics/%d/limits.json", r.plan, r.metrics[metric])
		return r.change(ctx, http.MethodPost, path, url.Values{"period": {period}, "value": {strconv.FormatInt(value, 10)}}, nil)
	}
}

// createAccount makes an account with a user that cannot log in: its password is random, and not kept.
func (r *receipts) createAccount(ctx context.Context) error {
	var made struct{ Account Account }
	user := "reporterd-receipts-" + rand.Text()[:8]
	err := r.change(ctx, http.MethodPost, "/admin/api/signup.json", url.Values{
		"org_name": {receiptAccount}, "username": {user}, "email": {user + "@example.com"}, "password": {rand.Text()},
	}, &made)
	r.account = made.Account.ID
	return err
}

func (r *receipts) createApplication(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		key := "application_id"
		if r.userKeys {
			key = "user_key"
		}
		return r.change(ctx, http.MethodPost, fmt.Sprintf("/admin/api/accounts/%d/applications.json", r.account), url.Values{
			"plan_id": {strconv.FormatInt(r.plan, 10)}, "name": {name}, "description": {"its counters say which reports 3scale counted"}, key: {name},
		}, nil)
	}
}

// RemoveReceipts returns what there is of the receipts of a service, to be deleted: applications, plan, metrics. The account
// stays, since other services may use it.
func (c *Client) RemoveReceipts(ctx context.Context, service string, applications, metrics []string) (steps []Step, err error) {
	r, err := c.readReceipts(ctx, service)
	if err != nil {
		return nil, err
	}
	add := func(what, path string) {
		steps = append(steps, Step{what, func(ctx context.Context) error { return r.change(ctx, http.MethodDelete, path, nil, nil) }})
	}
	for _, name := range applications {
		if a, there := r.apps[name]; there {
			add("delete application "+name, fmt.Sprintf("/admin/api/accounts/%d/applications/%d.json", a.AccountID, a.ID))
		}
	}
	if r.plan != 0 {
		add("delete application plan "+receiptPlan, r.servicePath(fmt.Sprintf("/application_plans/%d.json", r.plan)))
	}
	for _, name := range metrics {
		if id := r.metrics[name]; id != 0 {
			add("delete metric "+name, r.servicePath(fmt.Sprintf("/metrics/%d.json", id)))
		}
	}
	return steps, nil
}
