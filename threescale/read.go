package threescale

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"strings"
)

// ReadOptions moves the caps on what ReadParams accepts. Zero fields mean the backend's own caps,
// negative ones mean none; MaxNesting holds always.
type ReadOptions struct {
	MaxParams int   // parameters in the query string, and in the body, each
	MaxBytes  int64 // bytes of either; without it the caller bounds the body, with http.MaxBytesReader
	MaxQuery  int   // bytes of the query string on the wire

	// Lenient reads what the backend loses or refuses although the client means well; see lenient.go.
	Lenient bool
}

// ReadParams reads the parameters of a GET, HEAD or POST as the backend does: from the query string
// and, on a POST, from a form body as well, urlencoded, multipart or without a content type. Of a name
// in both, the body's value counts, whole (recording report-transactions-in-query-and-body).
//
// A refusal is an *Error with the backend's status and code. Anything else is a failure to read the
// body, which may wrap *http.MaxBytesError. The body is read to its end, never closed.
func ReadParams(r *http.Request, o ReadOptions) (Value, error) {
	post := r.Method == http.MethodPost
	if post {
		if err := checkContentType(r.Header.Get("Content-Type")); err != nil {
			return Value{}, err
		}
	}
	o = o.withDefaults()
	if len(r.URL.RawQuery) > o.MaxQuery {
		return Value{}, QueryTooLong()
	}
	query, err := o.readString(r.URL.RawQuery, post)
	if err != nil {
		return Value{}, err
	}
	if !post {
		return o.finish(query), nil
	}
	body, err := o.readBody(r)
	if err != nil {
		return Value{}, err
	}
	for _, e := range body.entries {
		query.set(e.name, e.value)
	}
	return o.finish(query), nil
}

func (o ReadOptions) withDefaults() ReadOptions {
	o.MaxParams = limit(o.MaxParams, MaxParams, math.MaxInt)
	o.MaxBytes = limit(o.MaxBytes, MaxBody, math.MaxInt64)
	o.MaxQuery = limit(o.MaxQuery, MaxQuery, math.MaxInt)
	return o
}

func limit[T int | int64](given, backend, unlimited T) T {
	switch {
	case given == 0:
		return backend
	case given < 0:
		return unlimited
	}
	return given
}

func (o ReadOptions) finish(root *node) Value {
	if o.Lenient {
		canonicalize(root)
	}
	return Value{root}
}

// readString checks the caps, bytes before parameters as the backend does, then parses.
func (o ReadOptions) readString(s string, post bool) (*node, error) {
	if int64(len(s)) > o.MaxBytes {
		return nil, TooManyBytes(o.MaxBytes)
	}
	if n := countParams(s); n > o.MaxParams {
		return nil, TooManyParams(n, o.MaxParams)
	}
	p := newParamReader(o.Lenient)
	if err := p.readAll(s); err != nil {
		return nil, refuse(err, post)
	}
	return p.root, nil
}

func (o ReadOptions) readBody(r *http.Request) (*node, error) {
	body, err := o.slurp(r)
	if err != nil {
		return nil, err
	}
	contentType := r.Header.Get("Content-Type")
	if strings.EqualFold(mediaType(contentType), "multipart/form-data") {
		return o.readMultipart(contentType, body)
	}
	return o.readString(body, true)
}

// firstRead bounds what a Content-Length alone makes slurp allocate, in bytes. Beyond it, memory is allocated as the body arrives.
const firstRead = 256 << 10

// copyBytes is how much of a body is read at once. A small body gets a buffer of its own length: io.Copy's of 32 KiB took a fifth of the
// time of a report of one transaction.
const copyBytes = 32 << 10

// slurp reads a body of at most MaxBytes, with few steps of growth where its length is known.
func (o ReadOptions) slurp(r *http.Request) (string, error) {
	if r.Body == nil {
		return "", nil
	}
	if r.ContentLength > o.MaxBytes {
		return "", TooManyBytes(o.MaxBytes)
	}
	var b strings.Builder
	chunk := int64(copyBytes)
	if r.ContentLength > 0 {
		b.Grow(int(min(r.ContentLength, firstRead)))
		chunk = min(r.ContentLength, chunk)
	}
	if _, err := io.CopyBuffer(&b, capped(r.Body, o.MaxBytes), make([]byte, chunk)); err != nil {
		return "", fmt.Errorf("threescale: read body: %w", err)
	}
	if int64(b.Len()) > o.MaxBytes {
		return "", TooManyBytes(o.MaxBytes)
	}
	return b.String(), nil
}

// capped lets one byte more than n through, so that too long can be told from just right.
func capped(r io.Reader, n int64) io.Reader {
	if n == math.MaxInt64 {
		return r
	}
	return io.LimitReader(r, n+1)
}

// checkContentType takes forms, and no content type at all (recordings report-charset-ctype,
// report-json).
func checkContentType(header string) error {
	switch t := strings.ToLower(mediaType(header)); t {
	case "", "application/x-www-form-urlencoded", "multipart/form-data":
		return nil
	default:
		return ContentTypeInvalid(t)
	}
}

// mediaType is the content type without its parameters.
func mediaType(header string) string {
	if i := strings.IndexAny(header, ";,"); i >= 0 {
		header = header[:i]
	}
	return strings.TrimSpace(header)
}

// refuse words what is wrong with a string of parameters as the backend does for this method.
func refuse(err error, post bool) error {
	switch {
	case errors.Is(err, errNesting):
		return NestedTooDeep()
	case errors.Is(err, errTextAndTree):
		return TextAndTree()
	case post && errors.Is(err, errPercent):
		return InternalErrorEmpty()
	case post:
		return InternalError()
	case errors.Is(err, errPercent):
		return PercentInvalid()
	}
	return SyntaxErrors()
}
