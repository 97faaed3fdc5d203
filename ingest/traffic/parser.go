package traffic

import (
	"bytes"
	"net/http"
	"net/textproto"
)

// parser parses the heads of a connection's requests. It keeps the fields of the last one: a client sends most of them again.
type parser struct {
	remote string // the address of the client
	fields []field
}

// field is a field of a head as it came, and what net/http makes of it.
type field struct {
	line   []byte
	name   string
	values []string
}

// parsed is the head of a request. The slices are valid until the buffer is read into again.
type parsed struct {
	method, target []byte
	host           []byte
	length         int64 // of the body, in bytes
	fields         int   // how many of the parser's fields are the request's
}

// parse parses a request of HTTP/1.1 whose head is whole and usual, and returns the size of the head. For any other request it returns
// false, and net/http parses it. A fuzz test compares the two.
func (p *parser) parse(unread []byte) (r parsed, size int, ok bool) {
	line, rest, found := bytes.Cut(unread, crlf)
	if !found {
		return r, 0, false
	}
	switch {
	case bytes.HasPrefix(line, []byte("GET /")):
		r.method = line[:3]
	case bytes.HasPrefix(line, []byte("POST /")):
		r.method = line[:4]
	default:
		return r, 0, false
	}
	if r.target, ok = bytes.CutSuffix(line[len(r.method)+1:], []byte(" HTTP/1.1")); !ok || !printable(r.target) {
		return r, 0, false
	}
	measured := false
	for {
		if line, rest, found = bytes.Cut(rest, crlf); !found {
			return r, 0, false
		}
		if len(line) == 0 {
			return r, len(unread) - len(rest), len(r.host) > 0
		}
		name, value, found := bytes.Cut(line, []byte(":"))
		if value = bytes.Trim(value, " \t"); !found || !printableOrBlank(value) {
			return r, 0, false
		}
		switch fieldKind(name) {
		case hostField:
			if r.host != nil || !plainHost(value) {
				return r, 0, false
			}
			r.host = value
			continue
		case lengthField:
			if r.length, ok = number(value); !ok || measured {
				return r, 0, false
			}
			measured = true
		case connectionField:
			if !equalFold(value, "keep-alive") {
				return r, 0, false
			}
		case unusualField:
			return r, 0, false
		}
		p.keep(r.fields, line, name, value)
		r.fields++
	}
}

// keep makes a field the i-th one, unless it is that already.
func (p *parser) keep(i int, line, name, value []byte) {
	if i == len(p.fields) {
		p.fields = append(p.fields, field{})
	}
	if f := &p.fields[i]; !bytes.Equal(f.line, line) {
		*f = field{append(f.line[:0], line...), textproto.CanonicalMIMEHeaderKey(string(name)), []string{string(value)}}
	}
}

// request makes r the request that was parsed.
func (p *parser) request(r *http.Request, from parsed) *http.Request {
	target := string(from.target)
	r.Method = http.MethodGet
	if len(from.method) == len(http.MethodPost) {
		r.Method = http.MethodPost
	}
	r.Proto, r.ProtoMajor, r.ProtoMinor = "HTTP/1.1", 1, 1
	r.RequestURI, r.Host, r.RemoteAddr = target, string(from.host), p.remote
	r.ContentLength, r.Body = from.length, http.NoBody
	r.Header = make(http.Header, from.fields)
	for i := range p.fields[:from.fields] {
		f := &p.fields[i]
		if before, again := r.Header[f.name]; again {
			r.Header[f.name] = append(before, f.values...)
			continue
		}
		r.Header[f.name] = f.values[:1:1]
	}
	return r
}

// number parses a Content-Length. At 18 digits it cannot overflow.
func number(digits []byte) (n int64, ok bool) {
	for _, d := range digits {
		if d < '0' || d > '9' {
			return 0, false
		}
		n = n*10 + int64(d-'0')
	}
	return n, len(digits) > 0 && len(digits) <= 18
}

// The kinds of fields.
const (
	otherField = iota
	hostField
	lengthField
	connectionField
	unusualField // changes how a connection goes on, or net/http does something about it
)

// fieldKind tells what a field means for the loop. A name that is no token is unusual.
func fieldKind(name []byte) int {
	if len(name) == 0 {
		return unusualField
	}
	for _, b := range name {
		if b >= 0x80 || !tokens[b] {
			return unusualField
		}
	}
	switch len(name) {
	case len("host"):
		if equalFold(name, "host") {
			return hostField
		}
	case len("content-length"):
		if equalFold(name, "content-length") {
			return lengthField
		}
	case len("connection"):
		if equalFold(name, "connection") {
			return connectionField
		}
	}
	for _, unusual := range unusualFields {
		if equalFold(name, unusual) {
			return unusualField
		}
	}
	return otherField
}

// unusualFields are those that net/http acts upon, in lower case.
var unusualFields = [...]string{"expect", "pragma", "te", "trailer", "transfer-encoding", "upgrade", "http2-settings", "keep-alive", "proxy-connection"}

// tokens are the bytes that a field's name may have, by RFC 9110.
var tokens = func() (is [0x80]bool) {
	for b := range is {
		is[b] = b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= '0' && b <= '9' || bytes.IndexByte([]byte("!#$%&'*+-.^_`|~"), byte(b)) >= 0
	}
	return is
}()
