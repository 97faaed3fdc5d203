package traffic

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"time"
)

// FastPath answers a GET request in its usual form at once: it appends the whole answer, head and body, to dst. When it returns
// false it has done nothing, and net/http answers the request.
//
// It is for calls that cost less than net/http itself. path is as sent; options is the header 3scale-options, empty without one.
// It may be called concurrently, and may keep the strings.
type FastPath func(dst []byte, path, query, options string) (answer []byte, ok bool)

// fastPathPrefix is what a request of the fast path begins with.
var fastPathPrefix = []byte("GET /transactions/auth")

// plainGet parses a request of HTTP/1.1 that is complete, has no body and no header field that would change its answer. For
// any other request it returns false, and net/http parses it. A fuzz test compares the two.
func plainGet(request []byte) (path, query, options string, ok bool) {
	if !bytes.HasPrefix(request, fastPathPrefix) {
		return "", "", "", false
	}
	line, rest, found := bytes.Cut(request, crlf)
	if !found {
		return "", "", "", false
	}
	target, found := bytes.CutSuffix(line[len("GET "):], []byte(" HTTP/1.1"))
	if !found || !printable(target) {
		return "", "", "", false
	}
	if options, ok = plainHead(rest); !ok {
		return "", "", "", false
	}
	path, query, _ = strings.Cut(string(target), "?")
	return path, query, options, plainPath(path)
}

var crlf = []byte("\r\n")

// plainHead reads the lines of a head up to the empty one, which must end the request.
func plainHead(head []byte) (options string, ok bool) {
	hosts, optioned := 0, false
	for {
		line, rest, found := bytes.Cut(head, crlf)
		if !found {
			return "", false
		}
		if len(line) == 0 {
			return options, len(rest) == 0 && hosts == 1
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if !found {
			return "", false
		}
		value = bytes.Trim(value, " \t")
		switch {
		case equalFold(name, "host"):
			if hosts++; !plainHost(value) {
				return "", false
			}
		case equalFold(name, "connection"):
			if !equalFold(value, "keep-alive") {
				return "", false
			}
		case equalFold(name, "3scale-options"):
			if optioned || !printable(value) {
				return "", false
			}
			options, optioned = string(value), true
		case equalFold(name, "user-agent"), equalFold(name, "accept"), equalFold(name, "accept-encoding"),
			equalFold(name, "accept-language"), equalFold(name, "x-3scale-user-agent"), isProxys(name):
			if !printableOrBlank(value) {
				return "", false
			}
		default:
			return "", false
		}
		head = rest
	}
}

// proxyFields are those that proxies add and that change no answer, in lower case.
var proxyFields = [...]string{
	"via", "forwarded", "x-real-ip", "traceparent", "tracestate", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto",
}

// isProxys reports whether a field is one of proxyFields.
func isProxys(name []byte) bool {
	for _, field := range proxyFields {
		if equalFold(name, field) {
			return true
		}
	}
	return false
}

// equalFold compares without regard to case; want is in lower case.
func equalFold(got []byte, want string) bool {
	if len(got) != len(want) {
		return false
	}
	for i, b := range got {
		if 'A' <= b && b <= 'Z' {
			b += 'a' - 'A'
		}
		if b != want[i] {
			return false
		}
	}
	return true
}

// printable reports whether text is visible ASCII only.
func printable(text []byte) bool {
	for _, b := range text {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}

// printableOrBlank reports whether text is visible ASCII and blanks only.
func printableOrBlank(text []byte) bool {
	for _, b := range text {
		if b < ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}

// plainPath reports whether a path needs no decoding.
func plainPath(path string) bool {
	for i := range len(path) {
		b := path[i]
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '/' || b == '.' || b == '_' || b == '-') {
			return false
		}
	}
	return true
}

// plainHost reports whether a Host is a name or an address, perhaps with a port.
func plainHost(host []byte) bool {
	for _, b := range host {
		if !('a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || b == '.' || b == ':' || b == '-' || b == '_') {
			return false
		}
	}
	return len(host) > 0
}

// The state of a connection, as net/http's calls reveal it: after an answer it calls ConnState with StateIdle, sets the
// deadline of the idle time, reads, and sets the next deadline when the first bytes have arrived. Only that read begins a
// request; any other may be in the middle of one.
const (
	midRequest = iota
	answered   // ConnState said so
	between    // and the deadline is set: what is read now begins a request
)

// writeTimeout is how long a client may take to read an answer of FastPath. The deadline is set again after writeTimeoutRenew,
// not for each answer.
const (
	writeTimeout      = 30 * time.Second
	writeTimeoutRenew = 10 * time.Second
)

// State is the server's ConnState: net/http calls it when the state of a connection changes.
func (l *Listener) State(c net.Conn, s http.ConnState) {
	if secure, ok := c.(interface{ NetConn() net.Conn }); ok {
		if lazy, ok := secure.NetConn().(*lazyConn); ok {
			lazy.head.state(s)
		}
		return
	}
	lazy, ok := c.(*lazyConn)
	if !ok {
		return
	}
	if lazy.head.state(s); s == http.StateIdle {
		lazy.mu.Lock()
		lazy.state = answered
		lazy.mu.Unlock()
	}
}

// SetFastPath makes e answer requests on all connections. It may be called while requests are served.
func (l *Listener) SetFastPath(e FastPath) { l.fastPath.Store(&e) }

// WaitQuiescent returns once FastPath is answering no request, after timeout at the latest. It must be called after the server
// was shut down, which takes such connections for idle ones.
func (l *Listener) WaitQuiescent(timeout time.Duration) {
	for end := time.Now().Add(timeout); l.busy.Load() > 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
}

// answerFast answers the bytes that were read and returns true, if they are a request for FastPath. Otherwise net/http gets
// them. whole is false when net/http's buffer was not empty: the bytes are then not the beginning of a request.
func (c *lazyConn) answerFast(request []byte, whole bool) bool {
	if !c.beginAnswer() {
		return false
	}
	answer, ok := c.answer[:0], false
	if whole {
		answer, ok = c.listener.answer(answer, request)
	}
	if ok {
		c.send(answer)
	}
	c.endAnswer(ok)
	return ok
}

// answer asks FastPath.
func (l *Listener) answer(dst, request []byte) (answer []byte, ok bool) {
	if l.options.Answer != nil {
		return l.options.Answer(dst, request)
	}
	fastPath := l.fastPath.Load()
	if fastPath == nil {
		return dst, false
	}
	path, query, options, ok := plainGet(request)
	if !ok {
		return dst, false
	}
	return (*fastPath)(dst, path, query, options)
}

// send writes an answer, and begins the idle time.
func (c *lazyConn) send(answer []byte) {
	now := time.Now()
	if now.Sub(c.writeDeadlineSet) > writeTimeoutRenew {
		c.writeDeadlineSet = now
		_ = c.Conn.SetWriteDeadline(now.Add(writeTimeout))
	}
	if _, err := c.Conn.Write(answer); err != nil {
		_ = c.Conn.Close() // the read that comes next says so to net/http
	}
	if c.answer = answer; cap(answer) > maxKeptAnswer {
		c.answer = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle > 0 {
		c.wanted = now.Add(c.idle)
	}
}

// maxKeptAnswer bounds the buffer for answers that is kept between requests, in bytes.
const maxKeptAnswer = 16 << 10

// beginAnswer begins to answer a request, unless the connection is not at the beginning of one, or closed.
func (c *lazyConn) beginAnswer() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != between || c.closed {
		return false
	}
	c.serving = true
	c.listener.busy.Add(1)
	return true
}

// endAnswer ends what beginAnswer began, and closes the connection if Close was called meanwhile.
func (c *lazyConn) endAnswer(done bool) {
	c.mu.Lock()
	c.serving = false
	if !done {
		c.state = midRequest
	}
	closed := c.closed
	c.mu.Unlock()
	c.listener.busy.Add(-1)
	if closed {
		_ = c.Conn.Close()
	}
}
