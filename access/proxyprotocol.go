package access

import (
	"bufio"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"
	"go.uber.org/zap"
)

const (
	// proxyHeaderTimeout is how long a proxy may take to send its PROXY header.
	proxyHeaderTimeout = 5 * time.Second
	// maxProxyHeaders bounds how many connections may be without their header at once; what is more is closed.
	maxProxyHeaders = 512
)

// ProxyListener is a listener whose trusted peers say for whom they connect: each of their connections begins with a header of the
// PROXY protocol, version 1 or 2, and has its address. Without one it is closed: a header that may be left out could be one that a
// caller wrote. Connections of other peers are as they are, and a header is no HTTP there.
type ProxyListener struct {
	net.Listener
	trusted *Networks
	log     *zap.Logger
	said    atomic.Int64 // when a missing header was logged last, Unix seconds

	accepted chan net.Conn
	failed   chan error
	slots    chan struct{} // one for each connection without its header
	done     chan struct{} // closed by Close
	once     sync.Once     // of Close
}

// NewProxyListener wraps l. Its goroutine accepts until Close.
func NewProxyListener(l net.Listener, trusted *Networks, log *zap.Logger) *ProxyListener {
	p := &ProxyListener{
		Listener: l, trusted: trusted, log: log,
		accepted: make(chan net.Conn), failed: make(chan error), slots: make(chan struct{}, maxProxyHeaders), done: make(chan struct{}),
	}
	go p.run()
	return p
}

// Accept implements net.Listener. A peer that is slow with its header delays no other one.
func (p *ProxyListener) Accept() (net.Conn, error) {
	select {
	case c := <-p.accepted:
		return c, nil
	case err := <-p.failed:
		return nil, err
	case <-p.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that were not accepted yet are closed.
func (p *ProxyListener) Close() error {
	p.once.Do(func() { close(p.done) })
	return p.Listener.Close()
}

func (p *ProxyListener) run() {
	for {
		c, err := p.Listener.Accept()
		if err != nil {
			select {
			case p.failed <- err:
			case <-p.done:
				return
			}
			if errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		if !p.trusted.Has(c.RemoteAddr()) {
			p.pass(c)
			continue
		}
		select {
		case p.slots <- struct{}{}:
			go p.readHeader(c)
		default:
			_ = c.Close()
		}
	}
}

// pass hands a connection to Accept.
func (p *ProxyListener) pass(c net.Conn) {
	select {
	case p.accepted <- c:
	case <-p.done:
		_ = c.Close()
	}
}

// readHeader reads the header of a connection, and passes it on. It ends within proxyHeaderTimeout, and then when Accept takes the
// connection or with Close.
func (p *ProxyListener) readHeader(c net.Conn) {
	reader := bufio.NewReader(c)
	err := c.SetReadDeadline(time.Now().Add(proxyHeaderTimeout))
	var header *proxyproto.Header
	if err == nil {
		header, err = proxyproto.Read(reader)
	}
	if err == nil {
		err = c.SetReadDeadline(time.Time{})
	}
	<-p.slots
	if err != nil {
		p.refuse(c, err)
		return
	}
	proxied := &proxiedConn{Conn: c, rest: reader, remote: c.RemoteAddr()}
	if source, ok := header.SourceAddr.(*net.TCPAddr); ok && !header.Command.IsLocal() {
		proxied.remote = source
	}
	p.pass(proxied)
}

// refuse closes a connection without a header, and logs that at most once a minute.
func (p *ProxyListener) refuse(c net.Conn, err error) {
	_ = c.Close()
	now, before := time.Now().Unix(), p.said.Load()
	if now-before >= 60 && p.said.CompareAndSwap(before, now) {
		p.log.Warn("a trusted proxy sent no PROXY header: its connection is closed", zap.String("from", c.RemoteAddr().String()), zap.Error(err))
	}
}

// proxiedConn is a connection whose proxy said for whom it is.
type proxiedConn struct {
	net.Conn
	rest   *bufio.Reader // what was read behind the header; nil: nothing is left; used by the reader only
	remote net.Addr
}

// RemoteAddr is the address of the proxy's client; that of the proxy for a connection of its own, such as a health check.
func (c *proxiedConn) RemoteAddr() net.Addr { return c.remote }

// Read implements net.Conn.
func (c *proxiedConn) Read(p []byte) (int, error) {
	if c.rest == nil {
		return c.Conn.Read(p)
	}
	if n := c.rest.Buffered(); n > 0 {
		return c.rest.Read(p[:min(n, len(p))])
	}
	c.rest = nil
	return c.Conn.Read(p)
}

// CloseWrite lets a server say that no more comes, where the connection below can.
func (c *proxiedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
