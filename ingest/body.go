package ingest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	"github.com/reporterd/reporterd/internal/memory"
)

// Buffers larger than these are not kept for the next request, so that one large request does not occupy memory for ever.
// Units: bytes, events, increments.
const (
	keepBody   = 1 << 20
	keepEvents = 8 << 10
	keepUsage  = 32 << 10
)

// firstRead bounds what a Content-Length alone makes the daemon allocate, in bytes. Beyond it, memory is allocated as the
// body arrives.
const firstRead = 256 << 10

// buffers are what serving one request of events needs. They are pooled and reused by later requests.
type buffers struct {
	decoder
	account memory.Account // of the request
	reader  bodyReader     // of its body
	zip     *gzip.Reader
	answer  []byte
}

// smallEnough reports whether w may be kept for the next request.
func (w *buffers) smallEnough() bool {
	return cap(w.body) <= keepBody && cap(w.events) <= keepEvents && cap(w.usage) <= keepUsage
}

// bodyError is why a body could not be read, with the status of the answer.
type bodyError struct {
	status int
	detail string
}

func (e *bodyError) Error() string { return e.detail }

func tooLarge(limit int64) *bodyError {
	return &bodyError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes, after expansion if compressed", limit)}
}

// read reads the request's body into w.body, expanded, at most limit bytes. The error is a *bodyError.
func (w *buffers) read(r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	var in io.Reader = &w.reader
	switch strings.ToLower(header(r, "Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		// The compressed stream has a limit of its own: an endless one can expand to nothing.
		if err := w.unzip(io.LimitReader(in, limit)); err != nil {
			return unreadable(err)
		}
		in = w.zip
	default:
		return &bodyError{http.StatusUnsupportedMediaType, "the Content-Encoding must be gzip or none"}
	}
	if size := min(max(r.ContentLength, 512), firstRead); int64(cap(w.body)) < size {
		w.body = make([]byte, 0, size)
	}
	return w.fill(in, limit)
}

func (w *buffers) unzip(in io.Reader) (err error) {
	if w.zip == nil {
		w.zip, err = gzip.NewReader(in)
		return err
	}
	return w.zip.Reset(in)
}

// fill reads in to its end into w.body.
func (w *buffers) fill(in io.Reader, limit int64) error {
	b := w.body[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := in.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		w.body = b
		if !w.account.Grow(int64(n)) {
			return errNoMemory
		}
		switch {
		case int64(len(b)) > limit:
			return tooLarge(limit)
		case err == io.EOF:
			return nil
		case err != nil:
			return unreadable(err)
		}
	}
}

// unreadable translates the error of a read into the answer for the client.
func unreadable(err error) *bodyError {
	var known *bodyError
	switch {
	case errors.As(err, &known):
		return known
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &bodyError{http.StatusRequestTimeout, "the body did not arrive in time"}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &bodyError{http.StatusBadRequest, "the body ends early"}
	}
	return &bodyError{http.StatusBadRequest, "the body cannot be read: " + err.Error()}
}
