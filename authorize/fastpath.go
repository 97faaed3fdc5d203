package authorize

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/threescale"
)

// FastPath answers a call of authorize or authrep from memory, as Handler would have it answered: it appends
// the whole answer to dst, head and body, once the usage of an authrep is on disk. The path and the query are
// as sent, options is the header 3scale-options. It returns false when the call has to be looked at more
// closely, or waits for the backend: then nothing has happened.
func (a *Authorizer) FastPath(dst []byte, path, query, options string) (answer []byte, ok bool) {
	authrep := path == "/transactions/authrep.xml"
	if !authrep && path != "/transactions/authorize.xml" || !a.quota.Loaded() {
		return dst, false
	}
	r := a.buffers.Get().(*reply)
	defer a.release(r)
	r.authrep = authrep
	if options != "" {
		r.options = threescale.ParseOptions(options)
		r.noBody = r.options.NoBody
	}
	if !a.decideFromMemory(r, query) {
		return dst, false
	}
	_ = a.conclude(context.Background(), r) // the answer says it
	return r.appendAnswer(dst), true
}

// decideFromMemory reads a call and decides it, if both can be done at once.
func (a *Authorizer) decideFromMemory(r *reply, query string) bool {
	credentials, id, ok := r.readFastPath(query)
	if !ok {
		return false
	}
	var err error
	if r.door, err = a.configured.Load().open(id, credentials, a.options.Passthrough); err != nil {
		return false
	}
	r.key = a.digest(&r.call)
	now := time.Now()
	e := a.remembered(&r.call)
	if e == nil || !a.fresh(e, &r.call, now, now) {
		return false
	}
	r.finding = a.found(e, &r.call, now, now)
	return a.decide(r)
}

// The lines of a head that are always the same.
const (
	headOrigin = "Access-Control-Allow-Origin: *\r\n" +
		"Access-Control-Expose-Headers: ETag, Link, 3scale-rejection-reason\r\n"
	headPolicy = "Content-Security-Policy: default-src 'self'\r\n"
	headType   = "Content-Type: application/vnd.3scale-v2.0+xml\r\n" +
		"X-Content-Type-Options: nosniff\r\n"
)

// appendAnswer appends what write has net/http send, byte by byte.
func (r *reply) appendAnswer(dst []byte) []byte {
	status := r.compose()
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(status), 10)
	dst = append(append(dst, ' '), http.StatusText(status)...)
	dst = append(dst, "\r\n"...)
	if r.hasLimits() {
		dst = r.limitHeaders().append(dst)
	}
	if r.hasReason() {
		dst = append(append(append(dst, "3scale-Rejection-Reason: "...), r.code...), "\r\n"...)
	}
	dst = append(dst, headOrigin...)
	dst = number(dst, "Content-Length: ", int64(len(r.body)))
	if r.hasPolicy() {
		dst = append(dst, headPolicy...)
	}
	dst = append(dst, headType...)
	dst = append(append(append(dst, "Date: "...), dateLine(r.now)...), "\r\n\r\n"...)
	return append(dst, r.body...)
}

func number(dst []byte, name string, n int64) []byte {
	return append(strconv.AppendInt(append(dst, name...), n, 10), "\r\n"...)
}

// append says the same as write.
func (l headers) append(dst []byte) []byte {
	if l.remaining < 0 {
		return append(dst, "3scale-Limit-Remaining: -1\r\n3scale-Limit-Reset: -1\r\n"...)
	}
	dst = number(dst, "3scale-Limit-Max-Value: ", l.max)
	dst = number(dst, "3scale-Limit-Remaining: ", l.remaining)
	return number(dst, "3scale-Limit-Reset: ", l.reset)
}

// date is a second and how it is written in a head.
type date struct {
	second int64
	text   string
}

var today atomic.Pointer[date]

// dateLine writes a moment as HTTP does. It is the same for all answers of a second.
func dateLine(t time.Time) string {
	d := today.Load()
	if second := t.Unix(); d == nil || d.second != second {
		d = &date{second, t.UTC().Format(http.TimeFormat)}
		today.Store(d)
	}
	return d.text
}
