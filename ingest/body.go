package ingest

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// A work that grew beyond these is not kept for the next request, so that one giant does not stay in
// memory for ever. Units: bytes, events, increments.
const (
	keepBody   = 1 << 20
	keepEvents = 8 << 10
	keepUsage  = 32 << 10
)

// firstRead bounds what a Content-Length alone makes the daemon allocate, in bytes; beyond it memory
// follows what really arrives.
const firstRead = 256 << 10

// work is what serving one request of events needs, kept from one to the next.
type work struct {
	decoder
	room   *room
	held   int // bytes taken out of room
	zip    *gzip.Reader
	answer []byte
}

// keepable reports whether w is small enough to be kept.
func (w *work) keepable() bool {
	return cap(w.body) <= keepBody && cap(w.events) <= keepEvents && cap(w.usage) <= keepUsage
}

// bodyError is a body that could not be read, and the status that says so.
type bodyError struct {
	status int
	detail string
}

func (e *bodyError) Error() string { return e.detail }

func tooLarge(limit int64) *bodyError {
	return &bodyError{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes, after expansion if compressed", limit)}
}

// read reads the request's body into w.body, expanded, at most limit bytes. The error is a *bodyError.
func (w *work) read(r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	var in io.Reader = r.Body
	switch strings.ToLower(r.Header.Get("Content-Encoding")) {
	case "", "identity":
	case "gzip", "x-gzip":
		// The compressed stream has a limit of its own: one can be endless and expand to nothing.
		if err := w.unzip(io.LimitReader(r.Body, limit)); err != nil {
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

func (w *work) unzip(in io.Reader) (err error) {
	if w.zip == nil {
		w.zip, err = gzip.NewReader(in)
		return err
	}
	return w.zip.Reset(in)
}

// fill reads in to its end into w.body.
func (w *work) fill(in io.Reader, limit int64) error {
	b := w.body[:0]
	for {
		if len(b) == cap(b) {
			b = append(b, 0)[:len(b)]
		}
		n, err := in.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		w.body = b
		if err := w.room.take(n); err != nil {
			return err
		}
		w.held += n
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

// unreadable says what a failed read means for the client.
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
