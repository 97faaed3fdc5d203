package traffic

import (
	"bytes"
	"strings"
)

// FastPath answers a GET request in its usual form at once: it appends the whole answer, head and body, to dst. When it returns
// false it has done nothing, and the handler answers the request.
//
// It is for calls that cost less than an http.Request. path is as sent; options is the header 3scale-options, empty without one.
// It may be called concurrently, and may keep the strings.
type FastPath func(dst []byte, path, query, options string) (answer []byte, ok bool)

// fastPathPrefix is what a request of the fast path begins with.
var fastPathPrefix = []byte("GET /transactions/auth")

// plainGet parses a request of HTTP/1.1 that is complete, has no body and no header field that would change its answer. For
// any other request it returns false, and it is parsed as any. A fuzz test compares the two.
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

// answerAtOnce asks the fast path.
func (l *Listener) answerAtOnce(dst, request []byte) (answer []byte, ok bool) {
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
