// Package traffic is the traffic listener: an HTTP server with timeouts, its connections, and the fast path that answers
// authorizations without net/http. It imports neither ingest nor authorize: the daemon passes it a handler and a FastPath.
package traffic

import (
	"bufio"
	"errors"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/internal/memory"
)

// Listener is the traffic listener. It wraps each connection so that net/http needs fewer system calls and timers
// for each request, which is most of the cost of a request of one event (BenchmarkIngest in test):
//
//   - net/http moves the read deadline four times for each request, and each time the runtime moves a timer. A
//     lazyConn moves its timer only when the new deadline is earlier; when the timer fires before the deadline,
//     it is set again.
//   - While a handler runs, net/http reads one byte to notice a client that disconnects: a system call, and a
//     goroutine that parks and wakes. A lazyConn answers that read with nothing. A client that disconnects is
//     noticed when the response is written; its events are kept either way. A second read of one byte in a
//     row comes from a buffer that is nearly full, and is a real read.
//   - A request that the FastPath answers never reaches net/http (BenchmarkAuthorize in test).
//
// Deadlines are exact. Under TLS only the first of these applies.
type Listener struct {
	net.Listener
	options  Options
	fastPath atomic.Pointer[FastPath]
	busy     atomic.Int64 // requests that FastPath is answering
}

// Options of NewListener.
type Options struct {
	Memory *memory.Budget // of the heads of requests; nil: they are bounded by the server's MaxHeaderBytes only
	TLS    bool           // the server speaks TLS on the connections

	// Answer, when not nil, is asked instead of the FastPath: request is all that came at the beginning of a request, which may be more
	// or less than one. It appends a whole answer to dst, or returns false and has done nothing. The same is true of it as of a FastPath.
	Answer func(dst, request []byte) (answer []byte, ok bool)

	// HTTP2 says that the server takes HTTP/2 without TLS, too: it looks for that first, with short reads. Such a connection has no
	// fast path: its bytes are no requests, and what a client chose may stand at the beginning of a read. Memory must be nil then.
	HTTP2 bool
}

// NewListener wraps l. The server's ConnState must be the Listener's State.
func NewListener(l net.Listener, o Options) *Listener { return &Listener{Listener: l, options: o} }

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &lazyConn{Conn: inner, listener: l, head: head{account: memory.Account{Budget: l.options.Memory}}}
	if l.options.HTTP2 {
		c.buffer = serverBuffer
	}
	return c, nil
}

// serverBuffer is the length of net/http's buffer in bytes, where the first read does not tell it.
var serverBuffer = bufio.NewReader(nil).Size()

// lazyConn is a connection with lazy read deadlines. As with any connection, one goroutine reads at a time,
// and the deadline may be set beside it.
type lazyConn struct {
	net.Conn
	listener         *Listener
	answer           []byte    // a buffer for answers of FastPath; used by the reader only
	writeDeadlineSet time.Time // when the deadline for writing them was set; zero: there is none; used by the reader only
	head             head      // memory of the request's head; used by the server's goroutine of the connection only
	buffer           int       // the length of net/http's buffer in bytes; 0: not known yet; used by the reader only
	begun, http2     bool      // something was read; it was the beginning of HTTP/2; used by the reader only

	mu      sync.Mutex    // guards what follows
	wanted  time.Time     // the deadline in force; zero: none
	armed   time.Time     // the deadline that was set on the inner connection last; zero: none
	idle    time.Duration // how long it may be idle between requests; 0: without limit
	state   int           // between, answered or midRequest
	reading bool          // a read of the inner connection is under way
	serving bool          // FastPath is answering a request
	probed  bool          // the last read was of one byte, and found nothing
	closed  bool
}

// Read reads until the deadline in force. The timer of the inner connection may fire earlier.
func (c *lazyConn) Read(p []byte) (int, error) {
	if len(p) == 1 && !c.http2 && c.isBackgroundRead() {
		return 0, nil
	}
	if c.buffer == 0 {
		c.buffer = len(p) // nothing has been read yet, so this is all of it
	}
	for {
		if err := c.beginRead(); err != nil {
			return 0, err
		}
		n, err := c.Conn.Read(p)
		early := c.endRead(err)
		if n > 0 && !c.begun { // the preface of HTTP/2 is a request of the method PRI
			c.begun, c.http2 = true, c.listener.options.HTTP2 && p[0] == 'P'
		}
		if n > 0 && !c.http2 && c.answerFast(p[:n], len(p) == c.buffer) {
			continue
		}
		if n > 0 && !c.head.grow(n) {
			return 0, c.refuseHead()
		}
		if n > 0 || !early {
			c.clearWriteDeadline()
			return n, err
		}
	}
}

// isBackgroundRead reports whether a read of one byte is the one with which net/http notices that a client
// disconnects. net/http does it once for each request; a buffer with one free byte is read into repeatedly.
func (c *lazyConn) isBackgroundRead() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.probed = !c.probed
	return c.probed
}

// clearWriteDeadline removes the deadline that FastPath has set for its own answers. net/http sets none, so FastPath's would cut
// off its next answer.
func (c *lazyConn) clearWriteDeadline() {
	if !c.writeDeadlineSet.IsZero() {
		c.writeDeadlineSet = time.Time{}
		_ = c.Conn.SetWriteDeadline(time.Time{}) // it fails on a closed connection only
	}
}

// beginRead notes that a read of the inner connection comes next; it fails when net/http has aborted reads.
func (c *lazyConn) beginRead() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if isAborted(c.wanted) {
		return os.ErrDeadlineExceeded
	}
	c.reading, c.probed = true, false
	return nil
}

// endRead reports whether a read ended only because its timer fired before the deadline; the timer is then set
// to the deadline.
func (c *lazyConn) endRead(err error) (early bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.reading = false
	if !errors.Is(err, os.ErrDeadlineExceeded) || (!c.wanted.IsZero() && !time.Now().Before(c.wanted)) {
		return false
	}
	return c.armLocked(c.wanted) == nil
}

// SetReadDeadline puts a deadline in force. The inner connection's is changed only when it would fire too late.
func (c *lazyConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wanted, c.probed = t, false
	switch {
	case c.state == answered && !isAborted(t):
		if c.state, c.idle = between, 0; !t.IsZero() {
			c.idle = time.Until(t)
		}
	case c.state == between:
		c.state = midRequest
	}
	switch {
	case isAborted(t):
		if !c.reading { // beginRead checks wanted
			return nil
		}
	case t.IsZero(), !c.armed.IsZero() && !c.armed.After(t):
		return nil
	}
	return c.armLocked(t)
}

// SetDeadline sets both deadlines.
func (c *lazyConn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// armLocked sets the deadline of the inner connection.
func (c *lazyConn) armLocked(t time.Time) error {
	c.armed = t
	return c.Conn.SetReadDeadline(t)
}

// Close closes the connection, at once or as soon as the answer of FastPath is written.
func (c *lazyConn) Close() error {
	c.mu.Lock()
	c.closed = true
	serving := c.serving
	c.mu.Unlock()
	if serving {
		return nil // endAnswer closes it
	}
	return c.Conn.Close()
}

// CloseWrite lets net/http end its side of the connection to a client that is still sending a body too large, so that the
// answer arrives before the connection is reset.
func (c *lazyConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// isAborted reports whether a deadline aborts a read: net/http uses one at the start of 1970 for that.
func isAborted(t time.Time) bool { return !t.IsZero() && t.Unix() < 60 }
