package ingest

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"time"
)

// Express answers a GET request that has nothing unusual about it, whole and at once: it appends the answer,
// head and body, to dst. When it returns false nothing has happened, and net/http answers the request.
//
// It is for calls that cost less than net/http does. The path is as sent; options is the header
// 3scale-options, empty without one. It may be called concurrently, and may keep the strings.
type Express func(dst []byte, path, query, options string) (answer []byte, ok bool)

// expressPrefix is what a request must begin with to be looked at more closely.
var expressPrefix = []byte("GET /transactions/auth")

// plainGet takes apart a request of HTTP/1.1 that is whole, has no body and nothing in its head that would
// change how it is answered. What it does not know it leaves to net/http, so that there is one reader of
// HTTP; a fuzz test holds the two against each other.
func plainGet(request []byte) (path, query, options string, ok bool) {
	if !bytes.HasPrefix(request, expressPrefix) {
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
		case equal(name, "host"):
			if hosts++; !plainHost(value) {
				return "", false
			}
		case equal(name, "connection"):
			if !equal(value, "keep-alive") {
				return "", false
			}
		case equal(name, "3scale-options"):
			if optioned || !printable(value) {
				return "", false
			}
			options, optioned = string(value), true
		case equal(name, "user-agent"), equal(name, "accept"), equal(name, "accept-encoding"),
			equal(name, "accept-language"), equal(name, "x-3scale-user-agent"):
			if !shown(value) {
				return "", false
			}
		default:
			return "", false
		}
		head = rest
	}
}

// equal compares without regard to case; want is in small letters.
func equal(got []byte, want string) bool {
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

// shown reports whether there is nothing but visible ASCII and blanks.
func shown(text []byte) bool {
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

// Where a connection stands between requests, as net/http lets it be seen: it calls ConnState with StateIdle,
// sets the deadline of the idle time, reads, and sets the next deadline when the first bytes are there. Only a
// read in that moment begins a request; any other may be in the middle of one.
const (
	midRequest = iota
	answered   // ConnState said so
	between    // and the deadline is set: what is read now begins a request
)

// expressWrite is how long a client may take to read an answer. The deadline is renewed once in a while.
const (
	expressWrite      = 30 * time.Second
	expressWriteRenew = 10 * time.Second
)

// State is for http.Server.ConnState.
func (l *Listener) State(c net.Conn, s http.ConnState) {
	if lazy, ok := c.(*lazyConn); ok && s == http.StateIdle {
		lazy.mu.Lock()
		lazy.stands = answered
		lazy.mu.Unlock()
	}
}

// SetExpress lets e answer what it can, on all connections. It may be called while requests are served.
func (l *Listener) SetExpress(e Express) { l.express.Store(&e) }

// Settle returns once no request is being answered by Express, or patience is over. Call it after the server
// was shut down, which takes such connections for idle ones.
func (l *Listener) Settle(patience time.Duration) {
	for end := time.Now().Add(patience); l.busy.Load() > 0 && time.Now().Before(end); {
		<-time.After(time.Millisecond)
	}
}

// hasten answers what was read, if it is a request for Express. Its answer is written when it returns. Else
// the request is net/http's from here on. It is also net/http's when whole is false: its buffer was not empty,
// so what was read is not the beginning of a request.
func (c *lazyConn) hasten(request []byte, whole bool) bool {
	if !c.enter() {
		return false
	}
	answer, ok := c.answer[:0], false
	if whole {
		answer, ok = c.listener.answer(answer, request)
	}
	if ok {
		c.send(answer)
	}
	c.leave(ok)
	return ok
}

// answer asks Express.
func (l *Listener) answer(dst, request []byte) (answer []byte, ok bool) {
	express := l.express.Load()
	if express == nil {
		return dst, false
	}
	path, query, options, ok := plainGet(request)
	if !ok {
		return dst, false
	}
	return (*express)(dst, path, query, options)
}

// send writes an answer, and begins the idle time.
func (c *lazyConn) send(answer []byte) {
	now := time.Now()
	if now.Sub(c.renewed) > expressWriteRenew {
		c.renewed = now
		_ = c.Conn.SetWriteDeadline(now.Add(expressWrite))
	}
	if _, err := c.Conn.Write(answer); err != nil {
		_ = c.Conn.Close() // the read that comes next says so to net/http
	}
	if c.answer = answer; cap(answer) > keepAnswer {
		c.answer = nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle > 0 {
		c.wanted = now.Add(c.idle)
	}
}

// keepAnswer bounds the room that is kept for answers, in bytes.
const keepAnswer = 16 << 10

// enter begins to answer a request, unless the connection is not at the beginning of one, or closed.
func (c *lazyConn) enter() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stands != between || c.closed {
		return false
	}
	c.serving = true
	c.listener.busy.Add(1)
	return true
}

// leave ends that, and closes the connection if somebody wanted to meanwhile.
func (c *lazyConn) leave(done bool) {
	c.mu.Lock()
	c.serving = false
	if !done {
		c.stands = midRequest
	}
	closed := c.closed
	c.mu.Unlock()
	c.listener.busy.Add(-1)
	if closed {
		_ = c.Conn.Close()
	}
}
