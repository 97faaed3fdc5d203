// Package traffic is the traffic listener: an HTTP server with timeouts, a loop of its own that answers what clients usually send, and
// the way to net/http for all the rest. It imports neither ingest nor authorize: the daemon passes it a handler and a FastPath.
package traffic

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/internal/memory"
)

// Listener accepts connections, and answers requests of HTTP/1.1 in their usual form in a loop of its own, which costs half of what
// net/http needs for a request of one event (BenchmarkIngest in test). A connection has one owner at any time: at the first request
// with anything unusual in it, the connection and its unread bytes go to the server that calls Accept, for good. Nothing of a
// connection is shared, and nothing comes back.
//
// Unusual is: a head that does not arrive whole at once or is larger than headBuffer, a method other than GET and POST, HTTP/1.0, a
// body that is not measured by Content-Length, and every field that changes how a connection goes on (see parse). Connections of TLS
// go to the server at once.
type Listener struct {
	net.Listener
	options  Options
	fastPath atomic.Pointer[FastPath]
	busy     atomic.Int64  // requests that are being answered in loops
	handed   chan net.Conn // to the server
	failed   chan error    // the error of the inner listener
	start    sync.Once
	done     chan struct{} // closed by Close

	mu     sync.Mutex         // guards what follows
	conns  map[*conn]struct{} // those with a loop
	closed bool
}

// Options of NewListener.
type Options struct {
	Handler http.Handler   // answers requests that no fast path answers; nil: all connections go to the server
	Memory  *memory.Budget // of the heads of requests that the server reads; nil: they are bounded by its MaxHeaderBytes only
	TLS     bool           // the server speaks TLS on the connections
	Log     *zap.Logger    // of handlers that panic; nil: none

	// Answer, when not nil, is asked instead of the FastPath: request is all that came at the beginning of a request, which may be more
	// or less than one. It appends a whole answer to dst, or returns false and has done nothing. The same is true of it as of a FastPath.
	Answer func(dst, request []byte) (answer []byte, ok bool)
}

// NewListener wraps l. The server's ConnState must be the Listener's State.
func NewListener(l net.Listener, o Options) *Listener {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Listener{
		Listener: l, options: o, handed: make(chan net.Conn), failed: make(chan error, 1), done: make(chan struct{}), conns: map[*conn]struct{}{},
	}
}

// SetFastPath makes e answer requests on all connections. It may be called while requests are served.
func (l *Listener) SetFastPath(e FastPath) { l.fastPath.Store(&e) }

// Accept implements net.Listener: it returns the next connection that the server has to serve. The first call starts to accept
// connections, in a goroutine that Close ends.
func (l *Listener) Accept() (net.Conn, error) {
	l.start.Do(func() { go l.accept() })
	select {
	case c := <-l.handed:
		return c, nil
	case err := <-l.failed:
		return nil, err
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// maxAcceptDelay bounds the pause after an error of accepting that may pass, such as too many open files.
const maxAcceptDelay = time.Second

// accept accepts connections until the listener is closed.
func (l *Listener) accept() {
	var delay time.Duration
	for {
		inner, err := l.Listener.Accept()
		var passing interface{ Temporary() bool }
		switch {
		case err == nil:
			delay = 0
			l.serve(inner)
		case errors.As(err, &passing) && passing.Temporary():
			delay = min(max(2*delay, 5*time.Millisecond), maxAcceptDelay)
			select {
			case <-time.After(delay):
			case <-l.done:
				return
			}
		default:
			l.failed <- err // the only one: the goroutine ends
			return
		}
	}
}

// serve starts the loop of a connection, in a goroutine that ends with the connection or its handing over.
func (l *Listener) serve(inner net.Conn) {
	if l.options.TLS || l.options.Handler == nil {
		go l.handOver(inner, nil) // ends when the server takes it, or with Close
		return
	}
	c := &conn{inner: inner, listener: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		_ = inner.Close()
		return
	}
	l.conns[c] = struct{}{}
	go c.serve()
}

// handOver gives a connection to the server, which reads prefix first. After Close it is closed instead.
func (l *Listener) handOver(inner net.Conn, prefix []byte) {
	handed := &serverConn{Conn: inner, prefix: prefix, secure: l.options.TLS, head: head{account: memory.Account{Budget: l.options.Memory}}}
	select {
	case l.handed <- handed:
	case <-l.done:
		_ = inner.Close()
	}
}

// remove forgets a connection whose loop ends.
func (l *Listener) remove(c *conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.conns, c)
}

// Close implements net.Listener. A loop that is answering a request ends with that answer, any other at once.
func (l *Listener) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	close(l.done)
	for c := range l.conns {
		c.stop()
	}
	return l.Listener.Close()
}

// Finish returns once no loop is answering a request, or ctx has ended; those that are then under way have until least is over. Then
// it closes their connections. It must be called after Close.
func (l *Listener) Finish(ctx context.Context, least time.Duration) {
	begun, poll := time.Now(), time.NewTicker(time.Millisecond)
	defer poll.Stop()
	for l.busy.Load() > 0 && (ctx.Err() == nil || time.Since(begun) < least) {
		<-poll.C
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for c := range l.conns {
		_ = c.inner.Close()
	}
}
