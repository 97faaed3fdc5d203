package authorize

import (
	"net/http"
	"strings"

	"github.com/reporterd/reporterd/event"
	"github.com/reporterd/reporterd/threescale"
)

// Service is one configured service, and the credentials a call for it must show.
type Service = event.Service

// directory is an immutable snapshot of what is configured.
type directory struct {
	byID map[string]*Service
	keys map[string]bool // provider keys of any service
}

func newDirectory(list []Service) *directory {
	d := &directory{byID: make(map[string]*Service, len(list)), keys: make(map[string]bool)}
	for i := range list {
		d.byID[list[i].ID] = &list[i]
		for _, key := range [...]string{list[i].Credentials.ProviderKey, list[i].ProviderKey} {
			if key != "" {
				d.keys[key] = true
			}
		}
	}
	return d
}

// door is the service a call is for, and how it is asked about.
type door struct {
	serviceID   string                 // as configured, or as sent; empty: the provider's default service
	credentials threescale.Credentials // to ask the backend with
	passed      threescale.Credentials // to report with; zero: those configured when it is delivered
	metrics     []string               // that may be named; empty: any

	// refusal is the answer while the backend cannot judge credentials that are not those of a configured service; nil: the Mode
	// decides.
	refusal *threescale.Error
}

// open decides whether credentials open a service: its own where it is configured, or any, for the backend to judge, if
// passthrough allows: a service may have several tokens beside its provider's key. The error is worded as the backend's (recordings
// auth-bad-token, auth-bad-provider-key-with-service, auth-provider-key-other-tenants-service).
func (d *directory) open(id string, c threescale.Credentials, passthrough bool) (door, error) {
	s := d.named(id, c)
	switch {
	case s != nil && s.Opens(c):
		return door{serviceID: s.ID, credentials: s.Credentials, metrics: s.Metrics}, nil
	case passthrough:
		if _, bytes := threescale.HeadCost(id, c); bytes <= threescale.CredentialsRoom && !threescale.TooLong(id) {
			passed := door{serviceID: id, credentials: c, passed: c}
			if s != nil {
				passed.serviceID, passed.metrics, passed.refusal = s.ID, s.Metrics, notJudged()
			}
			return passed, nil
		}
	}
	return door{}, d.refusal(id, c, s)
}

// refusal is the backend's error for credentials that do not open a service.
func (d *directory) refusal(id string, c threescale.Credentials, s *Service) *threescale.Error {
	switch {
	case c.ProviderKey == "":
		return threescale.ServiceTokenInvalid(c.ServiceToken, id)
	case id == "":
		return threescale.ProviderKeyInvalidOrServiceMissing(c.ProviderKey)
	case s == nil || d.keys[c.ProviderKey]:
		return threescale.ServiceIDInvalid(id)
	}
	return threescale.ProviderKeyInvalid(c.ProviderKey)
}

// native opens a configured service for a call that shows no credentials of its own.
func (d *directory) native(id string) (door, bool) {
	s := d.byID[id]
	if s == nil {
		return door{}, false
	}
	return door{serviceID: s.ID, credentials: s.Credentials, metrics: s.Metrics}, true
}

// named returns the configured service that an id means, or nil: beside a provider key foo-1001 is
// 1001 (recording auth-service-id-dash-alias).
func (d *directory) named(id string, c threescale.Credentials) *Service {
	if c.ProviderKey != "" {
		if s := d.byID[id[strings.LastIndexByte(id, '-')+1:]]; s != nil {
			return s
		}
	}
	return d.byID[id]
}

// notJudged is the answer to credentials that the backend cannot be asked about: they are not configured, which does not mean that
// they are wrong.
func notJudged() *threescale.Error {
	return &threescale.Error{Status: http.StatusForbidden, Code: codeUnavailable, Text: textNotJudged}
}

const textNotJudged = "3scale cannot be asked about these credentials at the moment"

// takes reports whether a metric may be named.
func (d *door) takes(metric string) bool {
	for _, m := range d.metrics {
		if m == metric {
			return true
		}
	}
	return len(d.metrics) == 0
}
