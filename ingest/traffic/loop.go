package traffic

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"runtime/debug"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// headBuffer is how many bytes of a connection are read at once, and how large a head may be that the loop takes.
	headBuffer = 4 << 10

	// writeTimeout is how long a client may take to read an answer. The deadline is set again after writeTimeoutRenew, not for each
	// answer.
	writeTimeout      = 30 * time.Second
	writeTimeoutRenew = 10 * time.Second

	// maxDiscard is how many bytes of a body that the handler has not read are read for it, so that the connection can go on. It is
	// net/http's own bound. With a longer rest the connection ends, after lingerTime in which the client can read the answer.
	maxDiscard = 256 << 10
	lingerTime = 500 * time.Millisecond

	// maxKeptAnswer bounds the buffer for answers that is kept between requests, in bytes.
	maxKeptAnswer = 4 << 10
)

// conn is a connection with a loop. Its goroutine alone uses what mu does not guard.
type conn struct {
	inner    net.Conn
	listener *Listener
	buffer   []byte // what was read and not used yet is buffer[at:]
	at       int
	answer   []byte    // a buffer for answers
	armed    time.Time // the read deadline that is set; zero: none
	written  time.Time // when the write deadline was set; zero: there is none
	parser   parser
	body     body
	response response
	template *http.Request // has the context of the connection

	mu      sync.Mutex // guards what follows
	serving bool       // a request is being answered
	stopped bool       // no further request is answered
}

// serve answers requests until the connection ends, is handed over, or the listener is closed.
func (c *conn) serve() {
	defer c.listener.remove(c)
	c.buffer = make([]byte, 0, headBuffer)
	wait := headerTimeout
	for {
		if len(c.buffer) == c.at && !c.fill(time.Now().Add(wait)) {
			_ = c.inner.Close()
			return
		}
		wait = idleTimeout
		if !c.begin() {
			_ = c.inner.Close()
			return
		}
		next := c.serveOne()
		if stopped := c.end(); next == goOn && stopped {
			next = closeIt
		}
		switch next {
		case goOn:
		case handIt:
			_ = c.inner.SetDeadline(time.Time{}) // it fails on a closed connection only
			c.listener.handOver(c.inner, c.buffer[c.at:])
			return
		case closeIt:
			_ = c.inner.Close()
			return
		}
	}
}

// What comes after a request.
type outcome int

const (
	goOn    outcome = iota // the next request
	handIt                 // nothing was done: the server serves the connection from here on
	closeIt                // the connection ends
)

// begin notes that a request is being answered; false: the listener is closed.
func (c *conn) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving = !c.stopped
	if c.serving {
		c.listener.busy.Add(1)
	}
	return c.serving
}

// end ends what begin began, and reports whether the listener was closed meanwhile.
func (c *conn) end() (stopped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving = false
	c.listener.busy.Add(-1)
	return c.stopped
}

// stop ends the loop: at once, or with the answer that is under way.
func (c *conn) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped = true; !c.serving {
		_ = c.inner.Close()
	}
}

// stopping reports whether the answer that is under way is the last one.
func (c *conn) stopping() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stopped
}

// fill reads what comes first until a deadline into the empty buffer. The timer of the connection is moved only when it would fire
// too late; when it fires before the deadline, it is set again. False: nothing came.
func (c *conn) fill(deadline time.Time) bool {
	if c.armed.IsZero() || c.armed.After(deadline) {
		c.arm(deadline)
	}
	for {
		n, err := c.inner.Read(c.buffer[:cap(c.buffer)])
		if c.buffer, c.at = c.buffer[:n], 0; n > 0 {
			return true
		}
		switch {
		case err == nil:
		case errors.Is(err, os.ErrDeadlineExceeded) && time.Now().Before(deadline):
			c.arm(deadline)
		default:
			return false
		}
	}
}

// arm sets the read deadline.
func (c *conn) arm(deadline time.Time) {
	c.armed = deadline
	_ = c.inner.SetReadDeadline(deadline) // it fails on a closed connection only
}

// serveOne answers the request at the beginning of the buffer.
func (c *conn) serveOne() (next outcome) {
	defer c.caught(&next)
	unread := c.buffer[c.at:]
	if answer, ok := c.listener.answerAtOnce(c.answer[:0], unread); ok {
		c.at = len(c.buffer)
		return c.send(answer)
	}
	request, size, ok := c.parser.parse(unread)
	if !ok {
		return handIt
	}
	u, err := url.ParseRequestURI(string(request.target)) // as net/http does
	if err != nil {
		return handIt // it says why
	}
	c.at += size
	return c.handle(request, u)
}

// handle has the handler answer a request.
func (c *conn) handle(request parsed, u *url.URL) outcome {
	if c.template == nil {
		c.template = new(http.Request).WithContext(context.WithValue(context.Background(), http.LocalAddrContextKey, c.inner.LocalAddr()))
		c.parser.remote = c.inner.RemoteAddr().String()
	}
	ctx, cancel := context.WithCancel(c.template.Context())
	defer cancel()
	r := c.parser.request(c.template.WithContext(ctx), request)
	r.URL = u
	if request.length > 0 {
		c.body = body{conn: c, left: request.length}
		if int64(len(c.buffer)-c.at) < request.length {
			c.arm(time.Now().Add(readTimeout))
		}
		r.Body = &c.body
	}
	c.response.reset(c)
	c.listener.options.Handler.ServeHTTP(&c.response, r)
	rest, coming := c.discard()
	last := rest || c.response.closes() || c.stopping()
	if next := c.send(c.response.append(c.answer[:0], last)); next == closeIt || !last {
		return next
	}
	if coming {
		c.linger()
	}
	return closeIt
}

// caught ends the connection behind a handler that panicked, as net/http does.
func (c *conn) caught(next *outcome) {
	p := recover()
	if p == nil {
		return
	}
	if *next = closeIt; p != http.ErrAbortHandler {
		c.listener.options.Log.Error("a handler panicked: its connection is closed", zap.Any("panic", p), zap.ByteString("stack", debug.Stack()))
	}
}

// discard reads what the handler has left of a body, if it is not too much. It reports whether something stays unread, and whether the
// client may still be sending it.
func (c *conn) discard() (rest, coming bool) {
	if c.body.left > 0 && c.body.left <= maxDiscard && c.body.err == nil {
		_, _ = io.Copy(io.Discard, &c.body)
	}
	rest, coming = c.body.left > 0, c.body.left > 0 && c.body.err == nil
	c.body = body{}
	return rest, coming
}

// linger lets a client that still sends read its answer, before the connection is reset.
func (c *conn) linger() {
	if half, ok := c.inner.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
	_ = c.inner.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, c.inner)
}

// send writes an answer.
func (c *conn) send(answer []byte) outcome {
	now := time.Now()
	if now.Sub(c.written) > writeTimeoutRenew {
		c.written = now
		_ = c.inner.SetWriteDeadline(now.Add(writeTimeout))
	}
	_, err := c.inner.Write(answer)
	if c.answer = answer; cap(answer) > maxKeptAnswer {
		c.answer = nil
	}
	if err != nil {
		return closeIt
	}
	return goOn
}

// body is what is left of the body of the request that is being answered.
type body struct {
	conn *conn
	left int64 // bytes
	err  error // of the last read
}

// Read implements io.Reader. What the loop has read already comes first, the rest from the connection into p.
func (b *body) Read(p []byte) (n int, err error) {
	switch {
	case b.err != nil:
		return 0, b.err
	case b.left == 0:
		return 0, io.EOF
	case len(p) == 0:
		return 0, nil
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	if c := b.conn; c.at < len(c.buffer) {
		n = copy(p, c.buffer[c.at:])
		c.at += n
	} else if n, err = c.inner.Read(p); errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if b.left -= int64(n); b.left == 0 {
		err = io.EOF
	}
	if !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}

// Close implements io.Closer.
func (b *body) Close() error { return nil }
