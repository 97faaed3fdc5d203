package partition

import (
	"sync/atomic"

	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/sender"
	"github.com/reporterd/reporterd/spool"
	"github.com/reporterd/reporterd/threescale"
)

// credentials are those of the configured services. They may be replaced while they are read.
type credentials struct {
	known atomic.Pointer[map[string]threescale.Credentials]
	order atomic.Pointer[[]string] // the order in the configuration
}

// set replaces all of them, and returns the services whose credentials have changed, including new and removed ones.
func (c *credentials) set(list []event.Service) (changed []string) {
	known := make(map[string]threescale.Credentials, len(list))
	order := make([]string, 0, len(list))
	defer c.order.Store(&order)
	for _, s := range list {
		order = append(order, s.ID)
		known[s.ID] = s.Credentials
	}
	var before map[string]threescale.Credentials
	if old := c.known.Swap(&known); old != nil {
		before = *old
	}
	for id, now := range known {
		if before[id] != now {
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

// of returns the credentials of a service.
func (c *credentials) of(serviceID string) (threescale.Credentials, bool) {
	found, ok := (*c.known.Load())[serviceID]
	return found, ok
}

// refused is called when the backend has refused the credentials of a lane.
func (p *Partition) refused(k spool.LaneKey, status int, code string) {
	p.authorizer.Refused(k.ServiceID, k.Credentials, status, code)
}

// ended returns the ended events of each configured service, and those of all other services together.
func (c *credentials) ended(ended map[string]sender.Ended) (services []console.Service, others console.Ended) {
	for id, e := range ended {
		if _, configured := c.of(id); !configured {
			others.Delivered, others.Dead = others.Delivered+e.Delivered, others.Dead+e.Dead
		}
	}
	for _, id := range *c.order.Load() {
		services = append(services, console.Service{ID: id, Ended: console.Ended(ended[id])})
	}
	return services, others
}
