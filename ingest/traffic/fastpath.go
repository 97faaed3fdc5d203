package traffic

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"time"
)

// FastPath answers a GET request that has nothing unusual about it, whole and at once: it appends the answer,
// head and body, to dst. When it returns false nothing has happened, and net/http answers the request.
//
// It is for calls that cost less than net/http does. The path is as sent; options is the header
// 3scale-options, empty without one. It may be called concurrently, and may keep the strings.
type FastPath func(dst []byte, path, query, options string) (answer []byte, ok bool)

// fastPathPrefix is what a request must begin with to be looked at more closely.
var fastPathPrefix = []byte("GET /transactions/auth")

// plainGet takes apart a request of HTTP/1.1 that is whole, has no body and nothing in its head that would
// change how it is answered. What it does not know it leaves to net/http, so that there is one reader of
// HTTP; a fuzz test holds the two against each other.
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

// plainHead reads the lines of a head up to the empty one, with which the request must end.
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
			equalFold(name, "accept-language"), equalFold(name, "x-3scale-user-agent"):
			if !printableOrBlank(value) {
				return "", false
			}
		default:
			return "", false
		}
		head = rest
	}
}

// equalFold compares without regard to case; want is in small letters.
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

// printable reports whether there is nothing but visible ASCII.
func printable(text []byte) bool {
	for _, b := range text {
		if b <= ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}

// printableOrBlank reports whether there is nothing but visible ASCII and blanks.
func printableOrBlank(text []byte) bool {
	for _, b := range text {
		if b < ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}

// plainPath reports whether a path is as it would be after decoding: letters, digits and a few signs.
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

// Where a connection state between requests, as net/http lets it be seen: it calls ConnState with StateIdle,
// sets the deadline of the idle time, reads, and sets the next deadline when the first bytes are there. Only a
// read in that moment begins a request; any other may be in the middle of one.
const (
	midRequest = iota
	answered   // ConnState said so
	between    // and the deadline is set: what is read now begins a request
)

// writeTimeout is how long a client may take to read an answer. The deadline is writeDeadlineSet once in a while.
const (
	writeTimeout      = 30 * time.Second
	writeTimeoutRenew = 10 * time.Second
)

// State is for http.Server.ConnState.
func (l *Listener) State(c net.Conn, s http.ConnState) {
	if lazy, ok := c.(*lazyConn); ok && s == http.StateIdle {
		lazy.mu.Lock()
		lazy.state = answered
		lazy.mu.Unlock()
	}
}

// SetFastPath lets e answer what it can, on all connections. It may be called while requests are served.
func (l *Listener) SetFastPath(e FastPath) { l.fastPath.Store(&e) }

// WaitQuiescent returns once no request is being answered by FastPath, or patience is over. Call it after the server
// was shut down, which takes such connections for idle ones.
func (l *Listener) WaitQuiescent(patience time.Duration) {
	for end := time.Now().Add(patience); l.busy.Load() > 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
}

// answerFast answers what was read, if it is a request for FastPath. Its answer is written when it returns. Otherwise
// net/http gets the bytes. It also gets them when whole is false: net/http's buffer was not empty then, so they
// are not the beginning of a request.
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

// maxKeptAnswer bounds the room that is kept for answers, in bytes.
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
