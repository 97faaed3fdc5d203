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

// lookAgain is how often the files of a certificate are looked at, at most.
const lookAgain = 10 * time.Second

// Certificates are a server's certificate and whom it trusts, out of files that may be replaced while they are in use:
// by Reload, or by themselves within ten seconds of the next handshake after they changed. A replacement that does not
// fit together is not taken: what was in force stays. All methods may be called concurrently.
type Certificates struct {
	cert, key, clients string // files; clients may be empty

	current atomic.Pointer[tls.Config]
	looked  atomic.Int64 // Unix nanoseconds

	mu      sync.Mutex // guards what follows, and lets one reload in at a time
	seen    [3]stamp
	Trouble func(error) // told of a replacement that is not taken, once, and nil when one is; may be nil. Set before use
	bad     bool
}

// stamp tells a file from its successor.
type stamp struct {
	size    int64
	changed time.Time
}

// OpenCertificates reads the files. With clients, whoever connects must show a certificate signed by one of those.
func OpenCertificates(cert, key, clients string) (*Certificates, error) {
	c := &Certificates{cert: cert, key: key, clients: clients}
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
	seen := c.stamps()
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
	seen := c.stamps()
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
	}
	return config, nil
}

func (c *Certificates) stamps() (out [3]stamp) {
	for i, name := range [...]string{c.cert, c.key, c.clients} {
		if info, err := os.Stat(name); err == nil {
			out[i] = stamp{info.Size(), info.ModTime()}
		}
	}
	return out
}

// Config is a server's configuration that always has the certificate in force.
func (c *Certificates) Config() *tls.Config {
	config := c.current.Load().Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		c.look(time.Now())
		return c.current.Load(), nil
	}
	return config
}

// look reads the files again if they changed.
func (c *Certificates) look(now time.Time) {
	last := c.looked.Load()
	if now.UnixNano()-last < int64(lookAgain) || !c.looked.CompareAndSwap(last, now.UnixNano()) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stamps() == c.seen {
		return
	}
	err := c.reloadLocked()
	if said := c.bad; c.Trouble != nil && (err != nil) != said {
		c.Trouble(err)
	}
	c.bad = err != nil
}
