package daemon

import (
	"context"
	"net/http"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/gate"
)

// readGate reads the file of the services that proxies ask about. Its error is about the configuration. Without a listener for
// proxies there are none.
func readGate(c *config.Config) (*gate.Services, error) {
	if c.Gate.Listen == "" {
		return nil, nil
	}
	return gate.Read(c.Gate.Rules)
}

// CheckGate reads the file of the services that proxies ask about, as a start does.
func CheckGate(c *config.Config) error {
	_, err := readGate(c)
	return err
}

// bindProxies binds the listener for proxies, if there is one.
func (d *listeners) bindProxies(ctx context.Context, log *zap.Logger, c *config.Config) (err error) {
	if c.Gate.Listen == "" {
		return nil
	}
	if d.proxies, err = bind(ctx, log, "gate", c.Gate.Listen, c.SocketMode, trafficServer(log, nil)); err != nil {
		return err
	}
	d.proxies.bound = access.NewConnLimiter(d.proxies.bound, c.Gate.MaxConnections, 0)
	return nil
}

// openGate makes the handler of proxies' questions, if there is a listener for them.
func (d *daemon) openGate() error {
	s, err := readGate(d.config)
	if err != nil {
		return misconfigured(err)
	}
	if s != nil {
		d.gate = gate.New(s, gate.Options{
			Ask: d.engine.Ask, Wait: d.config.Gate.Timeout, IDHeader: http.CanonicalHeaderKey(d.config.Gate.RequestIDHeader), Log: d.log.Named("gate"),
		})
	}
	return nil
}
