package sandbox

import (
	"strings"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// access is the service a call is for, as its credentials open it.
type access struct {
	credentials threescale.Credentials
	serviceID   string // as sent
	service     *service
}

// admit checks the credentials as far as the backend does before it looks at the rest of the call: a
// token with its service. A provider key is looked up later, by resolve.
func (v *view) admit(params threescale.Value, post bool, now time.Time) (access, error) {
	credentials, serviceID, err := threescale.ReadCredentials(params, post)
	a := access{credentials: credentials, serviceID: serviceID}
	if err != nil || credentials.ProviderKey != "" {
		return a, err
	}
	a.service = v.serviceByToken(serviceID, credentials.ServiceToken, now)
	if a.service == nil {
		return a, threescale.ServiceTokenInvalid(credentials.ServiceToken, serviceID)
	}
	return a, nil
}

// resolve finds the service of a provider key: the default one when none is named, and for 'foo-1001'
// service 1001 (recordings auth-ok-provider-key-default-service, auth-service-id-dash-alias).
func (v *view) resolve(a *access, now time.Time) error {
	if a.service != nil {
		return nil
	}
	key, id := a.credentials.ProviderKey, a.serviceID
	standard, exists := v.directory.providers[key]
	if id == "" {
		if a.service = v.service(standard, now); !exists || a.service == nil {
			return threescale.ProviderKeyInvalidOrServiceMissing(key)
		}
		return nil
	}
	found := v.service(id[strings.LastIndexByte(id, '-')+1:], now)
	if found == nil {
		found = v.service(id, now)
	}
	switch {
	case found == nil:
		return threescale.ServiceIDInvalid(id)
	case found.provider == key:
		a.service = found
		return nil
	case exists:
		return threescale.ServiceIDInvalid(id)
	}
	return threescale.ProviderKeyInvalid(key)
}

// present returns a parameter of a GET call: a hash, an array or white space count as absent.
func present(params threescale.Value, name string) string {
	text := params.Get(name).Text()
	if strings.TrimSpace(text) == "" {
		return ""
	}
	return text
}

// identify finds the application of a GET call. How it is named depends on the service's version.
func (v *view) identify(s *service, params threescale.Value, oauth bool, now time.Time) (*application, error) {
	id, key := present(params, "app_id"), present(params, "user_key")
	if id != "" && key != "" {
		return nil, threescale.AuthenticationError()
	}
	if s.version == versionUserKey && !oauth {
		return v.byUserKey(s, key, now)
	}
	if id == "" {
		return nil, threescale.ApplicationIDMissing()
	}
	return v.byID(s, id, now)
}

func (v *view) byUserKey(s *service, key string, now time.Time) (*application, error) {
	if key == "" {
		return nil, threescale.UserKeyMissing()
	}
	if a := v.applicationByUserKey(s.id, key, now); a != nil {
		return a, nil
	}
	return nil, threescale.UserKeyInvalid(key)
}

func (v *view) byID(s *service, id string, now time.Time) (*application, error) {
	if a := v.application(s.id, id, now); a != nil {
		return a, nil
	}
	return nil, threescale.ApplicationNotFound(id)
}
