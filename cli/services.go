package cli

import (
	"sync/atomic"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/threescale"
)

func credentialsOf(s config.Service) threescale.Credentials {
	return threescale.Credentials{ServiceToken: string(s.Token), ProviderKey: string(s.ProviderKey)}
}

func takenServices(list []config.Service) []ingest.Service {
	out := make([]ingest.Service, len(list))
	for i, s := range list {
		out[i] = ingest.Service{ID: s.ID, Credentials: credentialsOf(s), Metrics: s.Metrics}
	}
	return out
}

func askedServices(list []config.Service) []authorize.Service {
	out := make([]authorize.Service, len(list))
	for i, s := range list {
		out[i] = authorize.Service{ID: s.ID, Credentials: credentialsOf(s), Metrics: s.Metrics}
	}
	return out
}

// openings is what opens the configured services. It may be read while it is replaced.
type openings struct {
	known atomic.Pointer[map[string]threescale.Credentials]
	order atomic.Pointer[[]string] // of the configuration
}

// set replaces all of them, and returns the services whose credentials are others than before, new ones
// and removed ones included.
func (o *openings) set(list []config.Service) (changed []string) {
	known := make(map[string]threescale.Credentials, len(list))
	order := make([]string, 0, len(list))
	defer o.order.Store(&order)
	for _, s := range list {
		order = append(order, s.ID)
		known[s.ID] = credentialsOf(s)
	}
	var before map[string]threescale.Credentials
	if old := o.known.Swap(&known); old != nil {
		before = *old
	}
	for id, c := range known {
		if before[id] != c {
			changed = append(changed, id)
		}
	}
	for id := range before {
		if _, still := known[id]; !still {
			changed = append(changed, id)
		}
	}
	return changed
}

// of returns what opens a service.
func (o *openings) of(serviceID string) (threescale.Credentials, bool) {
	c, ok := (*o.known.Load())[serviceID]
	return c, ok
}

// figures are how many events of each configured service came to their end, and of all others.
func (o *openings) figures(ended map[string]sender.Ended) (services []console.Service, others console.Ended) {
	for id, e := range ended {
		if _, configured := o.of(id); !configured {
			others.Delivered, others.Dead = others.Delivered+e.Delivered, others.Dead+e.Dead
		}
	}
	for _, id := range *o.order.Load() {
		services = append(services, console.Service{ID: id, Ended: console.Ended(ended[id])})
	}
	return services, others
}
