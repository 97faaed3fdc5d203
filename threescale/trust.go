package threescale

import (
	"crypto/x509"
	"net/http"
	"sync/atomic"
)

// Trust is which authorities the clients that share it trust for the backend; the zero value trusts the system's. It may
// be changed while calls are made: those under way end as they began, and later ones make new connections. It is safe for
// concurrent use.
type Trust struct {
	pool atomic.Pointer[x509.CertPool]
}

// Set replaces the authorities; nil is the system's.
func (t *Trust) Set(pool *x509.CertPool) { t.pool.Store(pool) }

// dialer is a transport with the authorities that it was made with.
type dialer struct {
	pool      *x509.CertPool
	transport http.RoundTripper
}

// via returns the transport for the authorities in force.
func (c *Client) via() http.RoundTripper {
	now := c.current.Load()
	if c.options.Transport != nil {
		return now.transport
	}
	pool := c.options.roots()
	if pool == now.pool {
		return now.transport
	}
	next := &dialer{pool, newTransport(c.options, pool)}
	if c.current.CompareAndSwap(now, next) {
		now.transport.(*http.Transport).CloseIdleConnections() // and those in use once they are idle
		return next.transport
	}
	return c.current.Load().transport
}

func (o *ClientOptions) roots() *x509.CertPool {
	if o.Trust == nil {
		return o.RootCAs
	}
	return o.Trust.pool.Load()
}
