package daemon

import (
	"context"
	"errors"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
	"github.com/reporterd/reporterd/config"
	"github.com/reporterd/reporterd/ingest"
	"github.com/reporterd/reporterd/ingest/traffic"
	"github.com/reporterd/reporterd/internal/memory"
	"github.com/reporterd/reporterd/threescale/sandbox"
)

// listeners are the daemon's listeners.
type listeners struct {
	traffic, admin *listener
	reader         *listener // of the sources; nil without reader.listen
	proxies        *listener // of proxies' questions; nil without gate.listen
	sandbox        *listener // nil without --sandbox
	origins        []string  // of web pages that may read the sources from the reader listener
	backend        string    // the address of the backend: the sandbox, or the configured one

	certificates [3]*access.Certificates // of traffic, admin and reader; nil: plain HTTP
	local        string                  // PEM of the certificate and key that commands on this machine show where certificates are asked
	limiter      *access.ConnLimiter     // the traffic listener's connections
	memory       *memory.Budget          // of the traffic listener's requests
	bounds       access.Connections      // limits of the connections of each listener
	broken       chan error              // errors of listeners that fail
	trusted      *access.Networks        // proxies whose word about their callers is taken
}

// bindListeners binds every listener before anything else is started. Requests are answered after serve.
func bindListeners(ctx context.Context, log *zap.Logger, c *config.Config, sandboxed bool) (*listeners, error) {
	d := &listeners{backend: c.Backend.URL, bounds: divideDescriptors(log, c, sandboxed)}
	var err error
	if d.trusted, err = access.ParseNetworks(c.Proxies.Trusted); err != nil {
		return nil, misconfigured(err)
	}
	local, text, err := access.NewLocalClient()
	if err != nil {
		return nil, err
	}
	d.local = text
	var bad [3]error
	d.certificates[0], bad[0] = certificates(log, "tls", c.TLS, local)
	d.certificates[1], bad[1] = certificates(log, "admin.tls", c.Admin.TLS, local)
	d.certificates[2], bad[2] = certificates(log, "reader.tls", c.Reader.TLS, local)
	if err = errors.Join(bad[:]...); err != nil {
		return nil, misconfigured(err)
	}
	if d.traffic, err = bind(ctx, log, "traffic", c.Listen, c.SocketMode, trafficServer(log, d.certificates[0])); err != nil {
		return nil, err
	}
	d.proxied(log, c, d.traffic)
	d.limiter = access.NewConnLimiter(d.traffic.bound, d.bounds.Traffic, c.Limits.MaxConnectionsPerAddress)
	d.limiter.Exempt(d.trusted)
	d.memory = ingest.NewBudget(memoryShares(c).requests)
	d.traffic.fastPath = traffic.NewListener(d.limiter, traffic.Options{
		Handler: d.traffic.server.Handler, Memory: d.memory, TLS: d.traffic.secure, Log: log.Named("traffic"),
	})
	d.traffic.bound, d.traffic.server.ConnState = d.traffic.fastPath, d.traffic.fastPath.State
	d.warnInsecure(log, c)
	if d.admin, err = bind(ctx, log, "admin", c.Admin.Listen, c.SocketMode, adminServer(log, d.certificates[1])); err != nil {
		d.close()
		return nil, err
	}
	d.proxied(log, c, d.admin)
	admin := access.NewConnLimiter(deadlineListener{d.admin.bound, writeTimeout}, d.bounds.Admin, c.Limits.MaxAdminConnectionsPerAddress)
	admin.Exempt(d.trusted)
	d.admin.bound = admin
	if err = d.bindReader(ctx, log, c); err != nil {
		d.close()
		return nil, err
	}
	if !sandboxed {
		return d, nil
	}
	if d.sandbox, err = bind(ctx, log, "sandbox", c.Sandbox.Listen, c.SocketMode, sandbox.NewServer(sandbox.New(sandbox.Options{}))); err != nil {
		d.close()
		return nil, err
	}
	d.sandbox.bound = access.NewConnLimiter(d.sandbox.bound, d.bounds.Sandbox, 0)
	d.backend = d.sandbox.curl()
	return d, nil
}

// sandboxURL returns the address of the running sandbox; empty: there is none.
func (d *listeners) sandboxURL() string {
	if d.sandbox == nil {
		return ""
	}
	return d.sandbox.curl()
}

// warnInsecure logs a warning about insecure, if it is set.
func (d *listeners) warnInsecure(log *zap.Logger, c *config.Config) {
	if c.Insecure {
		log.Warn("insecure is true: listeners accept clients without a token", zap.String("listen", c.Listen), zap.String("admin", c.Admin.Listen))
	}
}

// provision reads the certificates of the listeners again. They take effect with apply, which cannot fail.
func (d *listeners) provision() (apply func(), err error) {
	traffic, bad := d.certificates[0].Provision()
	admin, badAdmin := d.certificates[1].Provision()
	reader, badReader := d.certificates[2].Provision()
	if err := errors.Join(keyed("tls", bad), keyed("admin.tls", badAdmin), keyed("reader.tls", badReader)); err != nil {
		return nil, err
	}
	return func() { traffic(); admin(); reader() }, nil
}

func trafficServer(log *zap.Logger, secure *access.Certificates) *http.Server {
	s := traffic.NewServer(new(readinessGate), log)
	if secure != nil {
		s.TLSConfig = secure.Config()
	}
	return s
}

// adminServer limits how much an operator's client may send and how slowly. An answer may take as long as the client reads (see
// deadlineListener): a profile takes as long as requested.
func adminServer(log *zap.Logger, secure *access.Certificates) *http.Server {
	s := trafficServer(log, secure)
	s.MaxHeaderBytes = 64 << 10
	s.ReadTimeout = 10 * time.Second
	return s
}

// serve answers on every listener, with the tokens of g, in goroutines that close ends. The channel receives the error of a
// listener that fails.
func (d *listeners) serve(g *authentication) <-chan error {
	g.certificates, g.limiter = d.provision, d.limiter
	d.broken = make(chan error, 5) // one of each listener
	for _, l := range d.all() {
		d.serveOne(l)
	}
	return d.broken
}

// serveOne answers on a listener in a goroutine that close ends.
func (d *listeners) serveOne(l *listener) {
	go func() {
		if err := l.serve(); err != nil {
			d.broken <- err
		}
	}()
}

// close closes every listener at once; shutdown was called before for those that matter.
func (d *listeners) close() {
	at := context.Background()
	at, cancel := context.WithTimeout(at, time.Second)
	defer cancel()
	for _, l := range d.all() {
		l.shutdown(at)
	}
}

func (d *listeners) all() []*listener {
	var all []*listener
	for _, l := range []*listener{d.traffic, d.admin, d.reader, d.proxies, d.sandbox} {
		if l != nil {
			all = append(all, l)
		}
	}
	return all
}
