package access

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// Crowd is a listener that bounds how many connections there are. When there are too many, one goes for the one that
// comes: the oldest that was never answered anything, since it has shown nothing but patience; where all were, the one
// that was answered longest ago. So nobody who works is locked out by others who only hold connections.
type Crowd struct {
	net.Listener
	most       int // 0: no bound
	perAddress int // of one client address; 0: no bound

	crowded, refused atomic.Uint64

	mu        sync.Mutex // guards what follows
	conns     map[*crowdConn]struct{}
	addresses map[string]int
}

// NewCrowd bounds a listener's connections: to most, and to perAddress from one address; 0 is no bound. Connections of
// unix sockets have no address.
func NewCrowd(l net.Listener, most, perAddress int) *Crowd {
	return &Crowd{Listener: l, most: most, perAddress: perAddress, conns: make(map[*crowdConn]struct{}), addresses: make(map[string]int)}
}

// CrowdStats are figures since the start.
type CrowdStats struct {
	Open    int
	Crowded uint64 // connections closed to make room for others
	Refused uint64 // connections of addresses that had enough
}

// Stats returns figures.
func (c *Crowd) Stats() CrowdStats {
	c.mu.Lock()
	defer c.mu.Unlock()
	return CrowdStats{Open: len(c.conns), Crowded: c.crowded.Load(), Refused: c.refused.Load()}
}

// Accept implements net.Listener.
func (c *Crowd) Accept() (net.Conn, error) {
	for {
		inner, err := c.Listener.Accept()
		if err != nil {
			return nil, err
		}
		conn := &crowdConn{Conn: inner, crowd: c, came: time.Now(), address: addressOf(inner)}
		if c.admit(conn) {
			return conn, nil
		}
		c.refused.Add(1)
		_ = inner.Close()
	}
}

// admit takes a connection in, and puts another out where there are too many.
func (c *Crowd) admit(conn *crowdConn) bool {
	c.mu.Lock()
	if c.perAddress > 0 && conn.address != "" && c.addresses[conn.address] >= c.perAddress {
		c.mu.Unlock()
		return false
	}
	var out *crowdConn
	if c.most > 0 && len(c.conns) >= c.most {
		for other := range c.conns {
			if out == nil || other.before(out) {
				out = other
			}
		}
		c.remove(out)
	}
	c.conns[conn] = struct{}{}
	c.addresses[conn.address]++
	c.mu.Unlock()
	if out != nil {
		c.crowded.Add(1)
		_ = out.Conn.Close()
	}
	return true
}

// remove forgets a connection. mu is held.
func (c *Crowd) remove(conn *crowdConn) {
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

// crowdConn is one of the crowd.
type crowdConn struct {
	net.Conn
	crowd    *Crowd
	came     time.Time
	address  string
	answered atomic.Int64 // when something was written last, Unix nanoseconds; 0: never
}

// before reports whether c goes before other.
func (c *crowdConn) before(other *crowdConn) bool {
	mine, theirs := c.answered.Load(), other.answered.Load()
	if mine == 0 && theirs == 0 {
		return c.came.Before(other.came)
	}
	return mine < theirs
}

// Write implements net.Conn.
func (c *crowdConn) Write(p []byte) (int, error) {
	c.answered.Store(time.Now().UnixNano())
	return c.Conn.Write(p)
}

// Close implements net.Conn.
func (c *crowdConn) Close() error {
	c.crowd.mu.Lock()
	c.crowd.remove(c)
	c.crowd.mu.Unlock()
	return c.Conn.Close()
}

// CloseWrite lets a server say that no more comes, where the connection below can.
func (c *crowdConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
