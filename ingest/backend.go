package ingest

import (
	"io"
	"net/http"
	"strconv"
)

// Header values as the backend sends them (recordings status, report-1, options-preflight). All answers share them, so they
// must not be changed.
var (
	xmlType       = []string{"application/vnd.3scale-v2.0+xml"}
	jsonType      = []string{"application/json"}
	textType      = []string{"text/plain;charset=utf-8"}
	anyOrigin     = []string{"*"}
	exposeHeaders = []string{"ETag, Link, 3scale-rejection-reason"}
	policy        = []string{"default-src 'self'"}
	nosniff       = []string{"nosniff"}
	noLength      = []string{"0"}
)

// setCommon sets the headers of every answer to 3scale's own calls, except errors.
func setCommon(header http.Header) {
	setError(header)
	header["Content-Security-Policy"] = policy
}

// setError sets the headers of an answer with an <error>: the common ones without the policy
// (recording report-blank).
func setError(header http.Header) {
	header["Access-Control-Allow-Origin"] = anyOrigin
	header["Access-Control-Expose-Headers"] = exposeHeaders
	header["X-Content-Type-Options"] = nosniff
}

// writeEmpty answers without a body, as the backend answers an accepted report.
func writeEmpty(w http.ResponseWriter, status int) {
	header := w.Header()
	setCommon(header)
	header["Content-Type"] = xmlType
	header["Content-Length"] = noLength
	w.WriteHeader(status)
}

// writeUnknown answers a path or a method that the backend does not have (recordings not-found, post-authorize).
func writeUnknown(w http.ResponseWriter) {
	w.Header()["X-Cascade"] = []string{"pass"}
	writeEmpty(w, http.StatusNotFound)
}

// writeStatus answers GET /status with the version of the backend that this package behaves like (recording status). Clients
// compare it with versions of the backend.
func writeStatus(w http.ResponseWriter) {
	writeBody(w, jsonType, `{"status":"ok","version":{"backend":"3.4.3"}}`)
}

// writeCheck answers GET /check.txt (recording check-txt).
func writeCheck(w http.ResponseWriter) { writeBody(w, textType, "ok") }

func writeBody(w http.ResponseWriter, contentType []string, body string) {
	header := w.Header()
	setCommon(header)
	header["Content-Type"] = contentType
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	_, _ = io.WriteString(w, body)
}

// writePreflight answers a browser's OPTIONS on 3scale's paths (recording options-preflight). Native paths have no such answer,
// so that a web page cannot post events to a local daemon.
func writePreflight(w http.ResponseWriter) {
	header := w.Header()
	setCommon(header)
	header["Access-Control-Max-Age"] = []string{"86400"}
	header["Access-Control-Allow-Methods"] = []string{"GET, POST, PATCH, PUT, DELETE"}
	header["Access-Control-Allow-Headers"] = []string{"Authorization, Accept-Encoding, Content-Type, Cache-Control, Accept, " +
		"If-Match, If-Modified-Since, If-None-Match, If-Unmodified-Since, X-Requested-With, X-HTTP-Method-Override, 3scale-options"}
	w.WriteHeader(http.StatusNoContent)
}
