package ingest

import (
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Listener is the traffic listener. Its connections are wrapped so that net/http costs less on each request,
// which is most of what a request of one event costs at all (BenchmarkIngest in test):
//
//   - It moves the read deadline four times a request, and each time the runtime moves a timer. Here a
//     timer that would ring too early is left alone; when it rings, it is set to the deadline in force.
//   - Behind the handler's back it reads one byte, to notice a client that leaves: a system call, a
//     goroutine to park and one to wake. Here that read finds nothing, and returns. A client that
//     leaves is noticed when the answer is written; its events are kept either way. A read of one byte
//     that is repeated at once is not that one but of a buffer that is nearly full, and is a real read.
//   - What Express answers never reaches it (BenchmarkAuthorize in test).
//
// Deadlines hold to the moment, and every other read is the connection's own. Under TLS only the first of
// these applies.
type Listener struct {
	net.Listener
	express atomic.Pointer[Express]
	busy    atomic.Int64 // requests that Express is answering
}

// NewListener wraps a listener. Its State belongs into the server's ConnState.
func NewListener(l net.Listener) *Listener { return &Listener{Listener: l} }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &lazyConn{Conn: inner, listener: l}, nil
}

// lazyConn is a connection with lazy read deadlines. As with any connection, one goroutine reads at a time,
// and the deadline may be set beside it.
type lazyConn struct {
	net.Conn
	listener *Listener
	answer   []byte    // room for answers of Express; the reader's
	renewed  time.Time // when the deadline for writing them was set; zero: there is none; the reader's
	buffer   int       // how long the buffer of net/http is, in bytes; 0: not known yet; the reader's

	mu      sync.Mutex    // guards the fields below
	wanted  time.Time     // the deadline in force; zero: none
	armed   time.Time     // what the connection below was told last; zero: nothing
	idle    time.Duration // how long it may rest between requests; 0: for ever
	stands  int           // between, answered or midRequest
	reading bool          // a read of the connection below is under way
	serving bool          // Express is answering a request
	glanced bool          // the last read was of one byte, and found nothing
	closed  bool
}

// Read reads until the deadline in force, whatever the timer below says.
func (c *lazyConn) Read(p []byte) (int, error) {
	if len(p) == 1 && c.glance() {
		return 0, nil
	}
	if c.buffer == 0 {
		c.buffer = len(p) // nothing has been read yet, so this is all of it
	}
	for {
		if err := c.begin(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		early := c.end(err)
		if n > 0 && c.hasten(p[:n], len(p) == c.buffer) {
			continue
		}
		if n > 0 || !early {
			c.handOver()
			return n, err
		}
	}
}

// glance reports whether a read of one byte is the one by which net/http watches for a client that leaves. It
// does that once for each request. A buffer with room for one more byte is read into until something came.
func (c *lazyConn) glance() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.glanced = !c.glanced
	return c.glanced
}

// handOver takes away the deadline that Express has set for its own answers. net/http sets none, so its next
// answer would be cut off by it.
func (c *lazyConn) handOver() {
	if !c.renewed.IsZero() {
		c.renewed = time.Time{}
		_ = c.Conn.SetWriteDeadline(time.Time{}) // it fails on a closed connection only
	}
}

// begin says that a read of the connection below comes next, unless it was called off.
func (c *lazyConn) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if longAgo(c.wanted) {
		return os.ErrDeadlineExceeded
	}
	c.reading, c.glanced = true, false
	return nil
}

// end reports whether a read ended only because its timer rang before the deadline in force; the timer is
// then set to that.
func (c *lazyConn) end(err error) (early bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	if !errors.Is(err, os.ErrDeadlineExceeded) || (!c.wanted.IsZero() && !time.Now().Before(c.wanted)) {
		return false
	}
	return c.arm(c.wanted) == nil
}

// SetReadDeadline puts a deadline in force. It is not handed down as long as the timer there rings first.
func (c *lazyConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted, c.glanced = t, false
	switch {
	case c.stands == answered && !longAgo(t):
		if c.stands, c.idle = between, 0; !t.IsZero() {
			c.idle = time.Until(t)
		}
	case c.stands == between:
		c.stands = midRequest
	}
	switch {
	case longAgo(t):
		if !c.reading { // begin looks at wanted
			return nil
		}
	case t.IsZero(), !c.armed.IsZero() && !c.armed.After(t):
		return nil
	}
	return c.arm(t)
}

// SetDeadline sets both deadlines.
func (c *lazyConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// arm hands a deadline down. mu is held.
func (c *lazyConn) arm(t time.Time) error {
	c.armed = t
	return c.Conn.SetReadDeadline(t)
}

// Close closes the connection, at once or as soon as the answer of Express is written.
func (c *lazyConn) Close() error {
	c.mu.Lock()
	c.closed = true
	serving := c.serving
	c.mu.Unlock()
	if serving {
		return nil // leave closes it
	}
	return c.Conn.Close()
}

// CloseWrite lets net/http say "no more" to a client that is still sending a body too large, so that the
// answer arrives before the connection is reset.
func (c *lazyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// longAgo reports whether a deadline calls a read off: net/http uses one at the start of 1970, which no
// clock reaches.
func longAgo(t time.Time) bool { return !t.IsZero() && t.Unix() < 60 }
