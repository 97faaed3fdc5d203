package access

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// ConnLimiter is a listener that limits the number of open connections, in total and for each client address. When the
// total is reached, a new connection replaces an open one: the oldest on which nothing was ever written or, where
// something was written on all of them, the one that was written to longest ago. A client that only holds connections
// open can therefore not lock out a client that sends requests.
type ConnLimiter struct {
	net.Listener
	total      int // 0: unlimited
	perAddress int // of one client address; 0: unlimited
	exempt     *Networks

	replaced, refused atomic.Uint64

	mu        sync.Mutex // guards what follows
	conns     map[*limitedConn]struct{}
	addresses map[string]int // number of connections of each address
}

// NewConnLimiter limits the connections of l to total and to perAddress for each client address; 0 means no
// limit. Connections to a unix socket have no address: only the total applies to them.
func NewConnLimiter(l net.Listener, total, perAddress int) *ConnLimiter {
	return &ConnLimiter{Listener: l, total: total, perAddress: perAddress, conns: make(map[*limitedConn]struct{}), addresses: make(map[string]int)}
}

// Exempt lifts the limit of one address for proxies, whose connections are those of many clients. It must be called before Accept.
func (c *ConnLimiter) Exempt(proxies *Networks) { c.exempt = proxies }

// ConnLimiterStats are figures since the start.
type ConnLimiterStats struct {
	Open     int
	Replaced uint64 // connections closed because a new one replaced them
	Refused  uint64 // new connections closed because their address had perAddress open
}

// Stats returns figures.
func (c *ConnLimiter) Stats() ConnLimiterStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return ConnLimiterStats{Open: len(c.conns), Replaced: c.replaced.Load(), Refused: c.refused.Load()}
}

// Accept implements net.Listener.
func (c *ConnLimiter) Accept() (net.Conn, error) {
	for {
		inner, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn := &limitedConn{Conn: inner, limiter: c, accepted: time.Now(), address: addressOf(inner)}
		if c.admit(conn) {
			return conn, nil
		}
		c.refused.Add(1)
		_ = inner.Close()
	}
}

// admit counts a new connection, and closes the one that it replaces. It returns false when the address has perAddress open.
func (c *ConnLimiter) admit(conn *limitedConn) bool {
	c.mu.Lock()
	if c.perAddress > 0 && conn.address != "" && !c.exempt.Has(conn.RemoteAddr()) && c.addresses[conn.address] >= c.perAddress {
		c.mu.Unlock()
		return false
	}
	var out *limitedConn
	if c.total > 0 && len(c.conns) >= c.total {
		for other := range c.conns {
			if out == nil || other.goesBefore(out) {
				out = other
			}
		}
		c.removeLocked(out)
	}
	c.conns[conn] = struct{}{}
	c.addresses[conn.address]++
	c.mu.Unlock()
	if out != nil {
		c.replaced.Add(1)
		_ = out.Conn.Close()
	}
	return true
}

// removeLocked removes a connection from the counts.
func (c *ConnLimiter) removeLocked(conn *limitedConn) {
	if _, there := c.conns[conn]; !there {
		return
	}
	delete(c.conns, conn)
	if c.addresses[conn.address]--; c.addresses[conn.address] <= 0 {
		delete(c.addresses, conn.address)
	}
}

func addressOf(c net.Conn) string {
	tcp, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return ""
	}
	return tcp.IP.String()
}

// limitedConn is a connection that a ConnLimiter counts.
type limitedConn struct {
	net.Conn
	limiter  *ConnLimiter
	accepted time.Time
	address  string
	written  atomic.Int64 // when something was written last, Unix nanoseconds; 0: never
}

// goesBefore reports whether c is replaced before other.
func (c *limitedConn) goesBefore(other *limitedConn) bool {
	mine, theirs := c.written.Load(), other.written.Load()
	if mine == 0 && theirs == 0 {
		return c.accepted.Before(other.accepted)
	}
	return mine < theirs
}

// Write implements net.Conn.
func (c *limitedConn) Write(p []byte) (int, error) {
	c.written.Store(time.Now().UnixNano())
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *limitedConn) Close() error {
	c.limiter.mu.Lock()
	c.limiter.removeLocked(c)
	c.limiter.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets a server say that no more comes, where the connection below can.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
