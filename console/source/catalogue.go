package source

import "maps"
import "slices"

// question is one of the catalogue.
type question struct {
	about string // a sentence
	needs []string
	takes []string // what may be given beside needs
	from  []From   // who can answer; the first is the default
	path  string   // of a list, which is read as it is; empty: a function of answers
}

var ranged = []string{"since", "until", "by", "timezone"}

// catalogue are the questions by name.
var catalogue = map[string]question{
	"accounts":     {about: "The developer accounts.", from: []From{ThreeScale, Ledger, Both}, path: "/admin/api/accounts.json"},
	"services":     {about: "The services, with their ids and names.", from: []From{Ledger, ThreeScale, Both}, path: "/admin/api/services.json"},
	"applications": {about: "The applications, of a service or of all.", takes: []string{"service"}, from: []From{Ledger, ThreeScale, Both}, path: "/admin/api/applications.json"},
	"metrics":      {about: "The metrics and methods of a service.", needs: []string{"service"}, from: []From{Ledger, ThreeScale, Both}, path: "/admin/api/services/{service}/metrics.json"},
	"limits":       {about: "The limits of a service's plans.", needs: []string{"service"}, from: []From{ThreeScale}},
	"service_usage": {
		about: "Usage of a metric, of all of a service.", needs: []string{"service", "metric"}, takes: ranged, from: []From{Ledger, ThreeScale, Both},
	},
	"application_usage": {
		about: "Usage of a metric by one application.", needs: []string{"service", "application", "metric"}, takes: ranged, from: []From{Ledger, ThreeScale, Both},
	},
	"usage_by_application": {
		about: "Usage of a metric by each application of a service.", needs: []string{"service", "metric"}, takes: ranged, from: []From{Ledger, ThreeScale, Both},
	},
	"top_applications": {
		about: "The applications with the most usage of a metric.", needs: []string{"service", "metric"}, takes: append(slices.Clone(ranged), "limit"), from: []From{Ledger, ThreeScale, Both},
	},
	"limit_utilisation": {
		about: "How much of each limit each application has used in the limit's present period.", needs: []string{"service"}, takes: []string{"timezone"}, from: []From{Ledger, ThreeScale, Both},
	},
	"deliveries": {
		about: "Usage accepted, delivered, ambiguous, dead and pending, by service and metric.", takes: append(slices.Clone(ranged), "service"), from: []From{Ledger},
	},
	"dead_letters": {
		about: "Dead letters by service and reason.", takes: append(slices.Clone(ranged), "service"), from: []From{Ledger},
	},
	"reconciliation": {
		about: "What was delivered against what 3scale counted, by hour, with the verdict.", takes: []string{"service", "since", "timezone"}, from: []From{Ledger},
	},
}

// Questions returns the names of the catalogue, sorted.
func Questions() []string { return slices.Sorted(maps.Keys(catalogue)) }

// About returns a sentence about a question of the catalogue.
func About(name string) string { return catalogue[name].about }
