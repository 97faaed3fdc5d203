package access

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// checkInterval is the least time between two checks of whether the files have changed.
const checkInterval = 10 * time.Second

// Certificates are a server's certificate and the authorities of its clients, from files that may be replaced while they are in
// use. Reload reads them again, and so does the next handshake, at most once in ten seconds, after they changed. Files that do
// not fit together are refused: those read before stay in force. All methods may be called concurrently.
type Certificates struct {
	cert, key, clients string            // files; clients may be empty
	local              *x509.Certificate // a client that is admitted beside those that clients has signed; nil: none

	current atomic.Pointer[tls.Config]
	checked atomic.Int64 // Unix nanoseconds

	mu       sync.Mutex // guards what follows; held during a reload, so that there is one at a time
	seen     [3]fileVersion
	OnReload func(error) // called when a handshake finds new files that are refused, once, and with nil when they are taken; may be nil. Set before use
	failing  bool
}

// fileVersion identifies a version of a file.
type fileVersion struct {
	size    int64
	changed time.Time
}

// OpenCertificates reads the files. With clients, a client must show a certificate that one of those authorities has signed, or
// local, which may be nil (NewLocalClient).
func OpenCertificates(cert, key, clients string, local *x509.Certificate) (*Certificates, error) {
	c := &Certificates{cert: cert, key: key, clients: clients, local: local}
	return c, c.Reload()
}

// Reload reads the files again, and puts them in force for handshakes to come.
func (c *Certificates) Reload() error {
	apply, err := c.Provision()
	if err == nil {
		apply()
	}
	return err
}

// Provision reads the files again without putting them in force; apply does that for handshakes to come, and cannot fail.
func (c *Certificates) Provision() (apply func(), err error) {
	if c == nil {
		return func() {}, nil
	}
	seen := c.versions()
	next, err := c.read()
	if err != nil {
		return nil, err
	}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.current.Store(next)
		c.seen = seen
	}, nil
}

// reloadLocked reads the files again, and puts them in force.
func (c *Certificates) reloadLocked() error {
	seen := c.versions()
	next, err := c.read()
	if err != nil {
		return err
	}
	c.current.Store(next)
	c.seen = seen
	return nil
}

// read makes a server's configuration of the files.
func (c *Certificates) read() (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.cert, c.key)
	if err != nil {
		return nil, fmt.Errorf("access: certificate: %q: %w", c.cert, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}}
	if c.clients != "" {
		text, err := os.ReadFile(c.clients)
		if err != nil {
			return nil, fmt.Errorf("access: client authorities: %w", err)
		}
		config.ClientCAs, config.ClientAuth = x509.NewCertPool(), tls.RequireAndVerifyClientCert
		if !config.ClientCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("access: client authorities: %q: expected certificates in PEM", c.clients)
		}
		if c.local != nil {
			config.ClientCAs.AddCert(c.local) // no authority: its own certificate is all that it vouches for
		}
	}
	return config, nil
}

func (c *Certificates) versions() (out [3]fileVersion) {
	for i, name := range [...]string{c.cert, c.key, c.clients} {
		if info, err := os.Stat(name); err == nil {
			out[i] = fileVersion{info.Size(), info.ModTime()}
		}
	}
	return out
}

// Config returns a server's configuration that always uses the certificate in force.
func (c *Certificates) Config() *tls.Config {
	config := c.current.Load().Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c.check(time.Now())
		return c.current.Load(), nil
	}
	return config
}

// check reads the files again if they have changed.
func (c *Certificates) check(now time.Time) {
	last := c.checked.Load()
	if now.UnixNano()-last < int64(checkInterval) || !c.checked.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.versions() == c.seen {
		return
	}
	err := c.reloadLocked()
	if said := c.failing; c.OnReload != nil && (err != nil) != said {
		c.OnReload(err)
	}
	c.failing = err != nil
}
