package ingest

import (
	"strings"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// Service is one configured service. Its zero Metrics allow any metric.
type Service = event.Service

// services is an immutable snapshot of the configured services. A reload makes a new one; a request uses the one that was in
// force when it began.
type services struct {
	byID map[string]*service
	keys map[string]bool // provider keys of any service, to tell a wrong key from another service's

	lateMargin int64                     // seconds, of Options.LateMargin
	excess     func(*event.Event) string // Options.Admit
}

type service struct {
	Service
	id      string
	metrics map[string]bool // nil: any
}

func newServices(list []Service) *services {
	s := &services{byID: make(map[string]*service, len(list)), keys: make(map[string]bool)}
	for _, configured := range list {
		entry := &service{Service: configured, id: strings.Clone(configured.ID)}
		if len(configured.Metrics) > 0 {
			entry.metrics = make(map[string]bool, len(configured.Metrics))
			for _, metric := range configured.Metrics {
				entry.metrics[metric] = true
			}
		}
		s.byID[entry.id] = entry
		for _, key := range [...]string{configured.Credentials.ProviderKey, configured.ProviderKey} {
			if key != "" {
				s.keys[key] = true
			}
		}
	}
	return s
}

// refuses returns the first metric of u that is not configured for the service.
func (s *service) refuses(u threescale.Usage) (metric string, refused bool) {
	if s.metrics == nil {
		return "", false
	}
	for i := range u {
		if !s.metrics[u[i].Metric] {
			return u[i].Metric, true
		}
	}
	return "", false
}
