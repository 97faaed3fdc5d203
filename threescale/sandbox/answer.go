package sandbox

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/reporterd/reporterd/threescale"
)

const xmlType = "application/vnd.3scale-v2.0+xml"

// answer is one answer, made before any of it is sent.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// plainAnswer is an answer with the headers every success and denial has.
func plainAnswer(status int) *answer {
	a := errorAnswer(status)
	a.header.Set("Content-Security-Policy", "default-src 'self'")
	return a
}

// errorAnswer is an answer with the headers an <error> has: all but the content security policy
// (recording auth-error-reason-header).
func errorAnswer(status int) *answer {
	h := make(http.Header, 8)
	h.Set("Content-Type", xmlType)
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "ETag, Link, 3scale-rejection-reason")
	h.Set("X-Content-Type-Options", "nosniff")
	return &answer{status: status, header: h}
}

// refused answers an error the way the backend words it. What is no *threescale.Error is a fault of the
// connection, and answered as the backend answers a body that did not arrive. A query string above its
// cap is answered by the backend's HTTP server, in HTTP/1.0 and without any header (recording
// oversized-requests); net/http answers in the version it was asked in.
func refused(err error, noBody bool) *answer {
	var e *threescale.Error
	if !errors.As(err, &e) {
		return &answer{status: http.StatusRequestTimeout, header: http.Header{"Connection": {"close"}}}
	}
	switch {
	case e.Status == http.StatusInternalServerError:
		return &answer{status: e.Status, header: http.Header{}, body: []byte(e.Text)}
	case e.Status == http.StatusBadRequest && e.Empty:
		return &answer{status: e.Status, header: http.Header{"Connection": {"close"}}}
	case e.HTML:
		return &answer{status: e.Status, header: http.Header{"Content-Type": {"text/html;charset=utf-8"}}, body: []byte(e.Text)}
	case e.Cascade:
		a := plainAnswer(e.Status)
		a.header.Set("X-Cascade", "pass")
		return a
	case e.Empty:
		return plainAnswer(e.Status)
	}
	a := errorAnswer(e.Status)
	if !noBody {
		a.body = e.AppendXML(nil)
	}
	return a
}

// preflight answers OPTIONS (recording options-preflight).
func preflight() *answer {
	a := plainAnswer(http.StatusNoContent)
	a.header.Del("Content-Type")
	a.header.Set("Access-Control-Max-Age", "86400")
	a.header.Set("Access-Control-Allow-Methods", "GET, POST, PATCH, PUT, DELETE")
	a.header.Set("Access-Control-Allow-Headers", "Authorization, Accept-Encoding, Content-Type, Cache-Control, Accept, If-Match, "+
		"If-Modified-Since, If-None-Match, If-Unmodified-Since, X-Requested-With, X-HTTP-Method-Override, 3scale-options")
	return a
}

// send writes the whole answer. net/http leaves the body out where the method is HEAD.
func (a *answer) send(w http.ResponseWriter) {
	length := strconv.Itoa(len(a.body))
	if a.status == http.StatusNoContent {
		length = ""
	}
	a.writeHead(w, length)
	_, _ = w.Write(a.body) // an error here is the caller's connection, which net/http closes
}

func (a *answer) writeHead(w http.ResponseWriter, length string) {
	h := w.Header()
	if h.Get("Date") == "" {
		h["Date"] = nil // the backend sends none
	}
	if a.header.Get("Content-Type") == "" {
		h["Content-Type"] = nil // nor a type it did not set
	}
	for name, values := range a.header {
		h[name] = values
	}
	if length != "" {
		h.Set("Content-Length", length)
	}
	w.WriteHeader(a.status)
}
