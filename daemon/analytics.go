package daemon

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ledger"
	"github.com/reporterd/reporterd/threescale/analytics"
	"github.com/reporterd/reporterd/threescale/portal"
)

const (
	applicationsLife = 30 * time.Second    // how long a list of applications is used
	applicationsSpan = 32 * 24 * time.Hour // applications without usage for this long are not listed
)

// analyticsAPI answers 3scale's Analytics APIs from the ledger.
type analyticsAPI struct {
	ledger  ledger.Book
	order   func() []string // the configured services
	metrics map[string][]string
	parents func(service string) map[string]string
	book    *portal.Book // nil: there is no portal, and invented numbers are used

	mu    sync.Mutex // guards lists
	lists map[string]applicationList
}

type applicationList struct {
	read time.Time
	all  []analytics.Application
}

// analyticsRoutes returns the routes of the admin listener for dashboards that use 3scale's APIs. They check tokens themselves,
// in the form of 3scale's APIs.
func (d *daemon) analyticsRoutes() []console.Route {
	if !d.engine.KeepsLedger() {
		return analyticsAPIRoutes(http.HandlerFunc(noLedger))
	}
	answer := sync.OnceValue(func() http.Handler {
		return analytics.New(analytics.Options{
			Source: d.analytics().source(), Tokens: d.auth.operators, Origins: d.config.Admin.Origins(), Log: d.log.Named("analytics"),
		})
	})
	return analyticsAPIRoutes(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if d.engine.Ledger() == nil {
			ledgerNotOpen(w, r)
			return
		}
		answer().ServeHTTP(w, r)
	}))
}

// newAnalyticsAPI makes the source of both APIs. The ledger has to be open.
func (d *daemon) newAnalyticsAPI() *analyticsAPI {
	k := &analyticsAPI{
		ledger: d.engine.Ledger(), order: d.services.ids, metrics: make(map[string][]string),
		parents: d.engine.Parents, book: d.services.book, lists: make(map[string]applicationList),
	}
	for _, s := range d.config.Services {
		k.metrics[s.ID] = s.Metrics
	}
	return k
}

func analyticsAPIRoutes(answer http.Handler) []console.Route {
	var routes []console.Route
	for _, pattern := range []string{"GET /stats/", "OPTIONS /stats/", "GET /admin/api/", "OPTIONS /admin/api/"} {
		routes = append(routes, console.Route{Pattern: pattern, Handler: answer})
	}
	return routes
}

func (k *analyticsAPI) source() analytics.Source {
	return analytics.Source{
		Services: k.services, Metrics: k.serviceMetrics, Applications: k.applications, Hours: k.hours, Top: k.top,
		Kept: k.kept,
	}
}

// kept returns since when there are figures; zero: not known now.
func (k *analyticsAPI) kept() time.Time {
	reach, err := k.ledger.Reach()
	if err != nil {
		return time.Time{}
	}
	return reach.Earliest
}

// portalID returns 3scale's number of a service, which is its id.
func portalID(service string) int64 {
	if n, err := strconv.ParseInt(service, 10, 64); err == nil {
		return n
	}
	return analytics.MadeUpID("service", service)
}

func (k *analyticsAPI) services(context.Context) ([]analytics.Service, error) {
	seen, err := k.ledger.Services(time.Time{})
	if err != nil {
		return nil, err
	}
	known := make(map[string]analytics.Service)
	for _, key := range slices.Concat(k.order(), seen) {
		known[key] = analytics.Service{ID: portalID(key), Key: key, Name: key, SystemName: key, State: "incomplete"}
	}
	for _, s := range k.book.Services() {
		known[s.ServiceID()] = analytics.Service{
			ID: s.ID, Key: s.ServiceID(), Name: s.Name, SystemName: s.SystemName, State: s.State, BackendVersion: string(s.Version),
		}
	}
	return slices.SortedFunc(maps.Values(known), func(a, b analytics.Service) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// hitsMetric is the metric that every service of 3scale has from the beginning.
const hitsMetric = "hits"

// serviceMetrics returns hits, the metrics that are configured or were reported, and their parents.
func (k *analyticsAPI) serviceMetrics(_ context.Context, service string) ([]analytics.Metric, error) {
	names := map[string]bool{hitsMetric: true}
	for _, name := range k.metrics[service] {
		names[name] = true
	}
	parents := k.parents(service)
	for method, parent := range parents {
		names[method], names[parent] = true, true
	}
	err := k.ledger.Rows(ledger.Query{ServiceID: service, AllApplications: true, By: ledger.ByMonth, Raw: true}, func(r *ledger.Row) error {
		names[r.Metric] = true
		return nil
	})
	if err != nil {
		return nil, tooMany(err)
	}
	known := make(map[string]analytics.Metric)
	for name := range names {
		known[name] = analytics.Metric{ID: analytics.MadeUpID("metric", service, name), SystemName: name, Name: name, Unit: "hit"}
	}
	for _, m := range k.book.Metrics(service) {
		known[m.SystemName] = analytics.Metric{ID: m.ID, SystemName: m.SystemName, Name: cmp.Or(m.Name, m.SystemName), Unit: m.Unit}
	}
	all := slices.Collect(maps.Values(known))
	for i := range all {
		if parent := parents[all[i].SystemName]; parent != "" {
			all[i].ParentID = known[parent].ID
		}
	}
	slices.SortFunc(all, func(a, b analytics.Metric) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}

// titleOf returns the display name of a service.
func (k *analyticsAPI) titleOf(service string) string {
	for _, s := range k.book.Services() {
		if s.ServiceID() == service {
			return s.Name
		}
	}
	return service
}

// applications returns those that the portal knows, and those with recent usage.
func (k *analyticsAPI) applications(_ context.Context, service string) ([]analytics.Application, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if l, ok := k.lists[service]; ok && time.Since(l.read) < applicationsLife {
		return l.all, nil
	}
	keys, err := k.ledger.Applications(service, time.Now().Add(-applicationsSpan))
	if err != nil {
		return nil, err
	}
	title, known := k.titleOf(service), make(map[string]bool)
	var all []analytics.Application
	listed := k.book.Applications(service)
	names := make([]string, len(listed))
	for i, a := range listed {
		names[i] = a.Reported
	}
	ids, err := k.ledger.ApplicationIDs(service, names) // in place of user keys
	if err != nil {
		return nil, err
	}
	for i, a := range listed {
		reported := ids[i]
		known[reported] = true
		all = append(all, analytics.Application{
			ID: a.ID, Key: reported, Name: a.Name, State: a.State, ServiceID: a.ServiceID, ServiceKey: service, ServiceName: title,
			PlanID: a.PlanID, PlanName: a.PlanName, AccountID: a.AccountID, AccountName: a.Account,
		})
	}
	for _, key := range keys {
		if !known[key] {
			all = append(all, analytics.Application{
				ID: analytics.MadeUpID("application", service, key), Key: key, Name: key, State: "live",
				ServiceID: portalID(service), ServiceKey: service, ServiceName: title,
			})
		}
	}
	slices.SortFunc(all, func(a, b analytics.Application) int { return cmp.Compare(a.ID, b.ID) })
	maps.DeleteFunc(k.lists, func(_ string, l applicationList) bool { return time.Since(l.read) >= applicationsLife })
	k.lists[service] = applicationList{time.Now(), all}
	return all, nil
}

// figureOf returns one of the figures.
func figureOf(f analytics.Figure, r *ledger.Row) int64 {
	switch f {
	case analytics.Accepted:
		return r.Accepted
	case analytics.Pending:
		return r.Pending()
	case analytics.Dead:
		return r.Dead
	case analytics.Ambiguous:
		return r.Ambiguous
	}
	return r.Delivered
}

func (k *analyticsAPI) hours(ctx context.Context, q analytics.Question, add func(time.Time, int64)) error {
	return tooMany(k.ledger.Rows(ledger.Query{
		ServiceID: q.Service, AppID: q.Application, AllApplications: q.Application == "", Metric: q.Metric, Since: q.Since, Until: q.Until,
	}, func(r *ledger.Row) error {
		add(r.Time, figureOf(q.Figure, r))
		return ctx.Err()
	}))
}

func (k *analyticsAPI) top(_ context.Context, q analytics.Question) (map[string]int64, error) {
	return topOf(k.ledger, ledger.TopQuery{
		ServiceID: q.Service, Metric: q.Metric, Figure: string(q.Figure), Since: q.Since, Until: q.Until, Most: q.Most,
	})
}

// topOf returns the sums of the applications with the most usage.
func topOf(l ledger.Book, q ledger.TopQuery) (map[string]int64, error) {
	all, err := l.Top(q)
	if err != nil {
		return nil, tooMany(err)
	}
	sums := make(map[string]int64, len(all))
	for _, t := range all {
		sums[t.AppID] = t.Value
	}
	return sums, nil
}

// tooMany turns the ledger's error for a query that is too large into one for the caller.
func tooMany(err error) error {
	if errors.Is(err, ledger.ErrTooMany) {
		return &analytics.Refusal{Status: http.StatusBadRequest, Sentence: strings.TrimPrefix(err.Error(), "ledger: "), Key: "error"}
	}
	return err
}
