package daemon

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"slices"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/console"
	"github.com/reporterd/reporterd/gate"
	"github.com/reporterd/reporterd/gate/extauthz"
	"github.com/reporterd/reporterd/ingest/traffic"
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

// openProxies binds the listener for proxies, if there is one, and answers there, in the usual form of a question by plain. Other listeners are bound first of all; this one
// when answers can be given, since a proxy turns to another daemon when it cannot connect, and takes an answer for one.
func (d *listeners) openProxies(ctx context.Context, log *zap.Logger, c *config.Config, answers http.Handler, plain func(dst, request []byte) ([]byte, bool)) (err error) {
	if c.Gate.Listen == "" {
		return nil
	}
	if d.proxies, err = bind(ctx, log, "gate", c.Gate.Listen, c.SocketMode, gateServer(log)); err != nil {
		return err
	}
	d.proxied(log, c, d.proxies)
	d.proxies.fastPath = traffic.NewListener(access.NewConnLimiter(d.proxies.bound, c.Gate.MaxConnections, 0), traffic.Options{
		Handler: d.proxies.server.Handler, Answer: plain, Log: log.Named("gate"),
	})
	d.proxies.bound, d.proxies.server.ConnState = d.proxies.fastPath, d.proxies.fastPath.State
	d.proxies.gate.open(answers)
	d.serveOne(d.proxies)
	return nil
}

// gateServer is a server of HTTP/1 and, for gRPC, of HTTP/2 without TLS.
func gateServer(log *zap.Logger) *http.Server {
	s := trafficServer(log, nil)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s
}

// proxied makes a listener read the PROXY headers of trusted proxies, where the configuration says that they send some.
func (d *listeners) proxied(log *zap.Logger, c *config.Config, l *listener) {
	if slices.Contains(c.Proxies.ProtocolListeners(), l.name) {
		l.bound = access.NewProxyListener(l.bound, d.trusted, log.Named(l.name))
	}
}

// behind returns a handler that knows the addresses of its callers behind proxies, and answers health checks under any name. most
// bounds the requests that one of these addresses has under way; 0: it does not.
func (d *daemon) behind(most int, next http.Handler) http.Handler {
	f := access.Forwarded{Trusted: d.listeners.trusted, Field: http.CanonicalHeaderKey(d.config.Proxies.AddressHeader), PerAddress: most}
	return f.Wrap(next)
}

// withHealth answers /livez and /readyz before next, under any Host: a balancer checks the port that it balances.
func (d *daemon) withHealth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if (r.Method != http.MethodGet && r.Method != http.MethodHead) || (r.URL.Path != "/livez" && r.URL.Path != "/readyz") {
			next.ServeHTTP(w, r)
			return
		}
		text, status := "ok\n", http.StatusOK
		if err := d.ready(); err != nil && r.URL.Path == "/readyz" {
			text, status = "not ready: "+err.Error()+"\n", http.StatusServiceUnavailable
		}
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(status)
		_, _ = io.WriteString(w, text) // an error means that the client is gone
	})
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
	if s == nil || !d.config.Gate.Portal {
		return nil
	}
	d.rules = gate.NewKeeper(gate.KeeperOptions{
		Dir: GateDir(d.config), Every: d.config.Gate.PortalEvery, Log: d.log.Named("gate"),
		IDs: func() []string { return d.gate.FromPortal(d.services.ids()) }, Get: d.compare.portal.ProductionConfig, Apply: d.gate.ApplyPortal,
	})
	return nil
}

// answers is the handler of proxies' questions, by HTTP and by gRPC; nil without a listener for them.
func (d *daemon) answers() http.Handler {
	if d.gate == nil {
		return nil
	}
	return extauthz.New(d.gate)
}

func (d *daemon) gateFigures() *console.Gate {
	if d.gate == nil {
		return nil
	}
	s := d.gate.Stats()
	return &console.Gate{Answers: s.Answers, Times: s.Times, Services: s.Services, Rules: s.Rules, PortalRead: d.rules.LastRead()}
}

// GateDir is where the portal's configurations of services are kept.
func GateDir(c *config.Config) string { return filepath.Join(c.DataDir, "gate") }

// startRules asks the portal for the services' rules, until the daemon stops.
func (d *daemon) startRules() {
	if d.rules == nil {
		return
	}
	d.group.Go("rules of the portal", func(ctx context.Context) error {
		d.rules.Run(ctx)
		return nil
	})
}
