package event

import (
	"crypto/subtle"

	"github.com/reporterd/reporterd/threescale"
)

// Service is one configured service: whose events are taken, and with which credentials it is reported and asked about.
type Service struct {
	ID          string
	Credentials threescale.Credentials
	ProviderKey string   // accepted from callers beside Credentials, which are a token then; empty: none
	Metrics     []string // system names; empty: any
}

// Opens reports whether credentials are those of the service. It compares in a time that does not tell how nearly right they are.
func (s *Service) Opens(given threescale.Credentials) bool {
	if given.ProviderKey == "" {
		return same(s.Credentials.ServiceToken, given.ServiceToken)
	}
	return same(s.Credentials.ProviderKey, given.ProviderKey) || same(s.ProviderKey, given.ProviderKey)
}

func same(own, given string) bool {
	return given != "" && subtle.ConstantTimeCompare([]byte(own), []byte(given)) == 1
}
