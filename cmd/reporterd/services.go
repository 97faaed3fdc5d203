package main

import (
	"sync/atomic"

	"github.com/reporterd/reporterd/authorize"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/ingest"
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
}

// set replaces all of them, and returns the services whose credentials are others than before, new ones
// and removed ones included.
func (o *openings) set(list []config.Service) (changed []string) {
	known := make(map[string]threescale.Credentials, len(list))
	for _, s := range list {
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
