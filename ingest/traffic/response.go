package traffic

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// response is what a handler answers in a loop. It is kept in memory until the handler has returned, so that its length is known.
type response struct {
	conn    *conn
	header  http.Header
	status  int // 0: not known yet
	content []byte
	names   []string // a buffer
}

// reset makes it an empty one for the next request.
func (w *response) reset(c *conn) {
	w.conn, w.status, w.content = c, 0, w.content[:0]
	if w.header == nil || len(w.header) > 0 {
		w.header = make(http.Header, 4) // a handler may have kept the last one
	}
	if cap(w.content) > maxKeptAnswer {
		w.content = nil
	}
}

// Header implements http.ResponseWriter.
func (w *response) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter. Fields that are set after it are sent, too.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && status >= 200 {
		w.status = status
	}
}

// Write implements http.ResponseWriter. What does not belong into an answer of this status is left out.
func (w *response) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	if !w.hasBody() {
		return 0, http.ErrBodyNotAllowed
	}
	w.content = append(w.content, p...)
	return len(p), nil
}

// SetReadDeadline bounds how long the body may take (http.ResponseController).
func (w *response) SetReadDeadline(t time.Time) error {
	w.conn.arm(t)
	return nil
}

func (w *response) hasBody() bool {
	return w.status != http.StatusNoContent && w.status != http.StatusNotModified
}

// closes reports whether the handler ends the connection.
func (w *response) closes() bool { return strings.EqualFold(w.header.Get("Connection"), "close") }

// append appends the answer to dst. last says that the connection ends with it.
func (w *response) append(dst []byte, last bool) []byte {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	if last {
		w.header["Connection"] = []string{"close"}
	}
	dst = append(dst, "HTTP/1.1 "...)
	dst = strconv.AppendInt(dst, int64(w.status), 10)
	dst = append(dst, ' ')
	if text := http.StatusText(w.status); text != "" {
		dst = append(dst, text...)
	} else {
		dst = append(dst, "status code "...)
		dst = strconv.AppendInt(dst, int64(w.status), 10)
	}
	dst = append(dst, "\r\n"...)
	if len(w.content) > 0 && w.header["Content-Type"] == nil && w.header["Content-Encoding"] == nil {
		w.header["Content-Type"] = []string{http.DetectContentType(w.content)}
	}
	w.names = w.names[:0]
	for name := range w.header {
		w.names = append(w.names, name)
	}
	slices.Sort(w.names)
	for _, name := range w.names {
		for _, value := range w.header[name] {
			dst = appendField(dst, name, value)
		}
	}
	if _, has := w.header["Date"]; !has {
		dst = append(dst, "Date: "...)
		dst = time.Now().UTC().AppendFormat(dst, http.TimeFormat)
		dst = append(dst, "\r\n"...)
	}
	if w.hasBody() && w.header["Content-Length"] == nil {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(len(w.content)), 10)
		dst = append(dst, "\r\n"...)
	}
	dst = append(dst, "\r\n"...)
	return append(dst, w.content...)
}

// appendField appends a field. A line break would begin another one, and becomes a blank, as with net/http.
func appendField(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	dst = append(dst, ": "...)
	at := len(dst)
	dst = append(dst, strings.TrimSpace(value)...)
	for i := at; i < len(dst); i++ {
		if dst[i] == '\r' || dst[i] == '\n' {
			dst[i] = ' '
		}
	}
	return append(dst, "\r\n"...)
}
