package sandbox

import (
	"fmt"
	"maps"
	"slices"

	"github.com/reporterd/reporterd/threescale"
)

// The fixtures the recordings were made with: providers, services 1001 to 1005 and 2001, their metrics,
// plans and applications.

const (
	ownerKey = "pkey"      // provider of 1001 to 1005
	otherKey = "otherpkey" // provider of 2001
)

// fixtureMetrics are the metrics of services 1001 to 1005, each with its parent, in the order of their ids.
var fixtureMetrics = [][2]string{{"hits", ""}, {"search", "hits"}, {"search_deep", "search"}, {"transfer", ""}, {"other", "hits"}}

// The indices of the fixtures' metrics that have limits.
const (
	hits     = 0
	search   = 1
	transfer = 3
)

// goldLimits are those of plan 50 of the recordings, tightLimits of plan 51; plan 52 has none.
var (
	goldLimits = []limit{
		{hits, threescale.Day, 100_000_000},
		{hits, threescale.Minute, 10_000_000},
		{search, threescale.Hour, 50_000_000},
		{transfer, threescale.Eternity, 1_000_000_000_000},
	}
	tightLimits = []limit{
		{hits, threescale.Day, 10},
		{search, threescale.Month, 5},
	}
)

// The plans an application can be put on by name.
var (
	goldPlan  = &plan{number: 53, name: "Gold", limits: goldLimits}
	tightPlan = &plan{number: 51, name: "Tight", limits: tightLimits}
	freePlan  = &plan{number: 52, name: "Free"}
	plans     = map[string]*plan{"Gold": goldPlan, "Tight": tightPlan, "Free": freePlan}
)

func fixtureServices() []*service {
	metrics, err := newHierarchy(fixtureMetrics)
	if err != nil {
		panic(err) // the table above is constant
	}
	owned := func(id, version string) *service {
		return &service{id: id, version: version, provider: ownerKey, tokens: []string{"stoken" + id}, metrics: metrics}
	}
	filtered, suspended := owned("1004", versionAppID), owned("1005", versionAppID)
	filtered.filtered = true
	suspended.suspended = true
	return []*service{
		owned("1001", versionAppID), owned("1002", versionUserKey), owned("1003", versionOAuth), filtered, suspended,
		{id: "2001", version: versionAppID, provider: otherKey, metrics: &hierarchy{}},
	}
}

func fixtureApplications() map[string][]*application {
	gold := func(id string) *application { return &application{id: id, plan: goldPlan} }
	tight := func(id string) *application { return &application{id: id, plan: tightPlan} }
	first := []*application{
		{id: "app1", plan: &plan{number: 50, name: "Gold <& Plan>", limits: goldLimits}, keys: []string{"key1", "key1b"}},
		gold("app2"), tight("applim"), tight("limA"), tight("limB"), tight("limC"),
		{id: "appnolim", plan: freePlan},
		{id: "appsusp", plan: goldPlan, suspended: true},
		gold("ord"),
	}
	for i := 1; i <= 50; i++ {
		first = append(first, gold(fmt.Sprintf("bulk%d", i)))
	}
	return map[string][]*application{
		"1001": first,
		"1002": {{id: "appuk", plan: goldPlan, userKey: "ukey1"}},
		"1003": {{id: "appoauth", plan: goldPlan, keys: []string{"okey1"}, redirectURL: "http://example.com/cb?a=1&b=2"}},
		"1004": {{id: "appref", plan: goldPlan, filters: []string{"*.example.com"}}},
		"1005": {gold("app1")},
	}
}

// fixtures fills a directory.
func fixtures() *directory {
	d := newDirectory()
	d.providers[ownerKey], d.providers[otherKey] = "1001", "2001"
	for _, s := range fixtureServices() {
		d.putService(s)
	}
	all := fixtureApplications()
	for _, id := range slices.Sorted(maps.Keys(all)) { // in this order, so that the portal's ids are the same every time
		for _, a := range all[id] {
			d.putApplication(id, a)
		}
	}
	return d
}
