package traffic

import (
	"net"
	"net/http"
)

// serverConn is a connection that the server owns.
type serverConn struct {
	net.Conn
	prefix []byte // what was read before; used by the reader only
	secure bool   // what is written is inside of TLS
	head   head   // memory of the request's head
}

// Read implements net.Conn.
func (c *serverConn) Read(p []byte) (n int, err error) {
	if len(c.prefix) > 0 {
		n = copy(p, c.prefix)
		if c.prefix = c.prefix[n:]; len(c.prefix) == 0 {
			c.prefix = nil
		}
	} else {
		n, err = c.Conn.Read(p)
	}
	if n > 0 && !c.head.grow(n) {
		return 0, c.refuseHead()
	}
	return n, err
}

// CloseWrite lets net/http end its side of the connection to a client that is still sending a body too large, so that the
// answer arrives before the connection is reset.
func (c *serverConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// State is the server's ConnState: net/http calls it when the state of a connection changes.
func (l *Listener) State(c net.Conn, s http.ConnState) {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		c = secure.NetConn()
	}
	if handed, ok := c.(*serverConn); ok {
		handed.head.state(s)
	}
}
