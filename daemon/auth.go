package daemon

import (
	"errors"
	"fmt"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/threescale"
)

// authentication holds the tokens of producers and operators, and the certificate authorities that the daemon trusts.
type authentication struct {
	producers, operators *access.Tokens                   // nil: no token is required
	limiter              *access.ConnLimiter              // the traffic listener's connections; nil before it is bound
	certificates         func() (apply func(), err error) // provisions those of the listeners; nil before they are bound
	backend              threescale.Trust                 // the authorities that clients of the backend trust
	authorities          string                           // file of the authorities; empty: those of the system
	local                string                           // an operator's token with all scopes, valid until the daemon stops
}

// newAuthentication reads the token files. Its errors are about the configuration.
func newAuthentication(c *config.Config) (*authentication, error) {
	g := &authentication{local: access.NewToken(), authorities: c.Backend.CAFile}
	if err := g.trust(); err != nil {
		return nil, err
	}
	var bad [2]error
	g.producers, bad[0] = access.Open(c.Auth.TokensFile, access.Producers)
	g.operators, bad[1] = access.Open(c.Admin.TokensFile, access.Operators)
	if bad[0] == nil {
		bad[0] = g.producers.SetRate(float64(c.Limits.EventsPerSecond))
	}
	if c.AdminClosed() {
		g.operators = access.Closed(access.Operators)
	}
	g.operators.Add(g.local, access.Grant{Name: "local", Scopes: access.Scopes})
	return g, errors.Join(keyed("auth.tokens_file", bad[0]), keyed("admin.tokens_file", bad[1]))
}

// provision reads every file again: the backend's authorities, both token files, and the listeners' certificates. They take
// effect with apply, which cannot fail, so that one bad file changes nothing. The error names each key whose file is bad.
func (g *authentication) provision() (apply func(), err error) {
	trusted, bad := authorities("backend.ca_file", g.authorities)
	producers, badProducers := g.producers.Provision()
	operators, badOperators := g.operators.Provision()
	certificates, badCertificates := func() {}, error(nil)
	if g.certificates != nil {
		certificates, badCertificates = g.certificates()
	}
	err = errors.Join(bad, keyed("auth.tokens_file", badProducers), keyed("admin.tokens_file", badOperators), badCertificates)
	if err != nil {
		return nil, err
	}
	return func() {
		g.backend.Set(trusted)
		producers()
		operators()
		certificates()
	}, nil
}

// trust reads the authorities of the backend.
func (g *authentication) trust() error {
	pool, err := authorities("backend.ca_file", g.authorities)
	if err == nil {
		g.backend.Set(pool)
	}
	return err
}

func keyed(key string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", key, err)
}

func (g *authentication) connections() console.Connections {
	if g.limiter == nil {
		return console.Connections{}
	}
	s := g.limiter.Stats()
	return console.Connections{Open: s.Open, Crowded: s.Replaced, Refused: s.Refused}
}
