package ingest

import (
	"strings"

	"github.com/reporterd/reporterd/threescale"
)

// caller is the service that a report is for: a configured one, or one that is passed through with its own credentials.
type caller struct {
	serviceID   string                 // empty beside a provider key: the provider's default service
	credentials threescale.Credentials // zero: the configured ones
	service     *service               // any metric where it is not configured
}

var unconfigured = new(service)

// admit checks the credentials of a report. Those of a configured service must be its own, or, with vouched, some that the
// backend accepts, which the caller has to ask for; those of any other service are left to the backend, if passthrough allows. The
// error is a *threescale.Error of status 403, worded as the backend's.
func (s *services) admit(id string, c threescale.Credentials, passthrough, vouched bool) (caller, error) {
	service := s.byName(id, c)
	switch {
	case service != nil && service.Opens(c):
		return caller{serviceID: service.id, service: service}, nil
	case service != nil && passthrough && vouched && fits(id, c):
		return caller{serviceID: service.id, credentials: c, service: service}, nil
	case service != nil || !passthrough || !fits(id, c):
		return caller{}, s.refusal(id, c, service != nil)
	}
	return caller{serviceID: id, credentials: c, service: unconfigured}, nil
}

// byName returns the configured service that id means, or nil. Beside a provider key, foo-1001 means 1001
// (recording auth-service-id-dash-alias).
func (s *services) byName(id string, c threescale.Credentials) *service {
	if c.ProviderKey != "" {
		if alias := s.byID[id[strings.LastIndexByte(id, '-')+1:]]; alias != nil {
			return alias
		}
	}
	return s.byID[id]
}

// fits reports whether these credentials fit into a batch.
func fits(id string, c threescale.Credentials) bool {
	_, bytes := threescale.HeadCost(id, c)
	return !threescale.TooLong(id) && bytes <= threescale.CredentialsRoom
}

// refusal is the error that the backend has for such credentials (recordings auth-bad-token, report-bad-provider-key,
// auth-bad-provider-key-with-service, auth-provider-key-other-tenants-service).
func (s *services) refusal(id string, c threescale.Credentials, configured bool) error {
	switch {
	case c.ProviderKey == "":
		return threescale.ServiceTokenInvalid(c.ServiceToken, id)
	case id == "":
		return threescale.ProviderKeyInvalidOrServiceMissing(c.ProviderKey)
	case !configured || s.keys[c.ProviderKey]:
		return threescale.ServiceIDInvalid(id)
	}
	return threescale.ProviderKeyInvalid(c.ProviderKey)
}
