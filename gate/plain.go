package gate

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// The requests that Plain answers begin with this.
var plainPrefix = []byte("GET " + pathQuestion)

// Plain answers a question in the form that proxies usually send it in, without net/http, which takes half of the time of such an
// answer: request is all of an HTTP/1.1 request without a body, and the answer is appended to dst, head and body. When it returns false
// it has done nothing, and net/http has to answer: an unusual request, and one that is no question.
func (h *Handler) Plain(dst, request []byte) (answer []byte, ok bool) {
	if !bytes.HasPrefix(request, plainPrefix) {
		return dst, false
	}
	begun := time.Now()
	r := plainRequest(request)
	if r == nil {
		return dst, false
	}
	q, err := read(r, h.options.IDHeader)
	if err != nil {
		return dst, false
	}
	a := h.decide(context.Background(), &q)
	h.counters.add(q.Form, a.Status, begun)
	return a.append(dst, q.nginx), true
}

var crlf = []byte("\r\n")

// plainRequest parses a request whose target is /gate or /gate/nginx. It returns nil for one that it does not read as net/http does
// for certain; a fuzz test compares the two.
func plainRequest(request []byte) *http.Request {
	line, rest, _ := bytes.Cut(request, crlf)
	target, found := bytes.CutSuffix(line[len("GET "):], []byte(" HTTP/1.1"))
	if path := string(target); !found || path != pathQuestion && path != pathNginx {
		return nil
	}
	r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: string(target)}, Header: make(http.Header, 16)}
	for {
		line, rest, found = bytes.Cut(rest, crlf)
		if !found {
			return nil
		}
		if len(line) == 0 {
			break
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if value = bytes.Trim(value, " \t"); !found || !plainName(name) || !plainValue(value) {
			return nil
		}
		switch key := http.CanonicalHeaderKey(string(name)); key {
		case "Host":
			if r.Host != "" || !plainHost(value) {
				return nil
			}
			r.Host = string(value)
		case "Connection":
			if !bytes.EqualFold(value, []byte("keep-alive")) {
				return nil
			}
		case "Content-Length", "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Te", "Http2-Settings":
			return nil
		default:
			r.Header[key] = append(r.Header[key], string(value))
		}
	}
	if len(rest) > 0 || r.Host == "" {
		return nil
	}
	return r
}

func letterOrDigit(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9'
}

// plainName reports whether a field has a name of letters, digits, - and _.
func plainName(name []byte) bool {
	for _, b := range name {
		if !letterOrDigit(b) && b != '-' && b != '_' {
			return false
		}
	}
	return len(name) > 0
}

// plainHost reports whether a Host is a name or an address, perhaps with a port.
func plainHost(host []byte) bool {
	for _, b := range host {
		if !letterOrDigit(b) && b != '.' && b != ':' && b != '-' && b != '_' {
			return false
		}
	}
	return len(host) > 0
}

// plainValue reports whether a value is visible ASCII and blanks only.
func plainValue(value []byte) bool {
	for _, b := range value {
		if b < ' ' || b >= 0x7f {
			return false
		}
	}
	return true
}

// append appends the answer as it goes over a connection, for nginx in the statuses that it reads.
func (a *Reply) append(dst []byte, nginx bool) []byte {
	status := a.Status
	if nginx {
		status = nginxStatus(a.Status)
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(append(append(dst, ' '), http.StatusText(status)...), crlf...)
	a.fields(nginx, func(name, value string) {
		dst = append(append(append(append(dst, name...), ": "...), value...), crlf...)
	})
	dst = append(dst, "Date: "...)
	dst = append(time.Now().UTC().AppendFormat(dst, http.TimeFormat), crlf...)
	dst = append(dst, crlf...)
	return append(append(dst, a.Text...), '\n')
}
