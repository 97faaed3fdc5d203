package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
)

// ServiceChange creates a service or alters one: what is left out stays as it is, or for a new one is as
// service 1001 has it, without tokens.
type ServiceChange struct {
	ID                string    `json:"id"`
	BackendVersion    string    `json:"backend_version"` // 1, 2 or oauth
	Tokens            *[]string `json:"tokens"`
	ProviderKey       *string   `json:"provider_key"` // of its owner; one not yet known gets this as its default service
	State             string    `json:"state"`        // active or suspended
	ReferrersRequired *bool     `json:"referrer_filters_required"`
	Metrics           []Metric  `json:"metrics"`         // added to those it has, in this order
	DeletedMetrics    []string  `json:"deleted_metrics"` // with their limits; their counters stay

	Proxy json.RawMessage `json:"proxy"` // what its gateway is configured with, a further version of it
}

// Metric is one metric, with the name of its parent if it has one.
type Metric struct {
	Name   string `json:"name"`
	Parent string `json:"parent"`
}

// maxServices bounds the services, maxMetrics those of one service.
const (
	maxServices = 10_000
	maxMetrics  = 1000
)

// PutServices makes all the changes, or none and says why. What listener and worker remember is not
// touched.
func (s *Sandbox) PutServices(changes ...ServiceChange) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if max(len(s.directory.services), len(s.directory.providers))+len(changes) > maxServices {
		return fmt.Errorf("more than %d services, or providers", maxServices)
	}
	made := make([]*service, len(changes))
	for i := range changes {
		one, err := changes[i].apply(s.directory)
		if err != nil {
			return fmt.Errorf("service %d: %w", i, err)
		}
		made[i] = one
	}
	for _, one := range made {
		s.directory.putService(one)
		if _, known := s.directory.providers[one.provider]; !known {
			s.directory.providers[one.provider] = one.id
		}
	}
	return nil
}

// apply returns the service as it will be.
func (c *ServiceChange) apply(d *directory) (*service, error) {
	if c.ID == "" {
		return nil, errors.New("id: is missing")
	}
	one := &service{id: c.ID, version: versionAppID, provider: ownerKey, metrics: d.service("1001").metrics}
	if old := d.service(c.ID); old != nil {
		*one = *old
	}
	switch c.BackendVersion {
	case "":
	case versionUserKey, versionAppID, versionOAuth:
		one.version = c.BackendVersion
	default:
		return nil, fmt.Errorf("backend_version: %q is none of 1, 2, oauth", c.BackendVersion)
	}
	set(&one.tokens, c.Tokens)
	set(&one.provider, c.ProviderKey)
	set(&one.filtered, c.ReferrersRequired)
	if len(c.Proxy) > 0 {
		one.proxy, one.proxyVersion = c.Proxy, one.proxyVersion+1
	}
	if err := setState(&one.suspended, c.State, ""); err != nil {
		return nil, err
	}
	return one, one.change(c)
}

// change deletes and adds metrics.
func (s *service) change(c *ServiceChange) error {
	if len(c.Metrics)+len(c.DeletedMetrics) == 0 {
		return nil
	}
	s.metrics = s.metrics.clone()
	for _, name := range c.DeletedMetrics {
		if err := s.metrics.remove(name); err != nil {
			return err
		}
	}
	for _, m := range c.Metrics {
		if err := s.metrics.add(m.Name, m.Parent); err != nil {
			return err
		}
	}
	if len(s.metrics.metrics) > maxMetrics {
		return fmt.Errorf("metrics: more than %d, deleted ones included", maxMetrics)
	}
	return nil
}
