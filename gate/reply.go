package gate

import (
	"cmp"
	"net/http"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/authorize"
)

// Reply is what a proxy is told.
type Reply struct {
	Status int
	Text   string // one line, without its end

	kind   string          // media type of Text; empty: plain text
	reason string          // in a header, for the proxy's log; empty: none
	retry  time.Duration   // 0: no Retry-After
	limit  authorize.Limit // Remaining below 0: no headers
}

// bad is the answer to a question that is none.
func bad(reason string, err error) Reply {
	return Reply{Status: http.StatusBadRequest, Text: err.Error(), reason: reason, limit: noLimit}
}

// noLimit is the limit of a call that has none, or of which none is known.
var noLimit = authorize.Limit{Remaining: -1}

// Header returns the fields of the answer, by their canonical names.
func (a *Reply) Header() http.Header {
	header := http.Header{}
	a.setHeader(header)
	return header
}

func (a *Reply) setHeader(header http.Header) {
	header["Content-Type"] = []string{cmp.Or(a.kind, "text/plain; charset=utf-8")}
	header["Cache-Control"] = []string{"no-store"}
	if a.retry > 0 {
		header["Retry-After"] = []string{seconds(a.retry)}
	}
	if a.reason != "" {
		header["X-Gate-Reason"] = []string{a.reason}
	}
	if a.limit.Remaining >= 0 {
		header["Ratelimit-Limit"] = []string{strconv.FormatInt(a.limit.Max, 10)}
		header["Ratelimit-Remaining"] = []string{strconv.FormatInt(a.limit.Remaining, 10)}
		if a.limit.Reset >= 0 {
			header["Ratelimit-Reset"] = []string{seconds(a.limit.Reset)}
		}
	}
}

// write sends the answer; for nginx in the statuses that it reads.
func (a *Reply) write(w http.ResponseWriter, nginx bool) {
	header := w.Header()
	a.setHeader(header)
	status := a.Status
	if nginx {
		header["X-Gate-Status"] = []string{strconv.Itoa(a.Status)}
		status = nginxStatus(a.Status)
	}
	header["Content-Length"] = []string{strconv.Itoa(len(a.Text) + 1)}
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(a.Text), '\n')) // an error here is the proxy's connection, which net/http closes
}
