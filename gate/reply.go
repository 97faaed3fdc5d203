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

// Header returns the fields of the answer, by their canonical names, without those of its length and of nginx.
func (a *Reply) Header() http.Header {
	header := http.Header{}
	a.fields(false, func(name, value string) { header[name] = []string{value} })
	delete(header, "Content-Length")
	return header
}

// fields calls put with each field of the answer, by its canonical name; for nginx with the real status.
func (a *Reply) fields(nginx bool, put func(name, value string)) {
	put("Content-Type", cmp.Or(a.kind, "text/plain; charset=utf-8"))
	put("Cache-Control", "no-store")
	if a.retry > 0 {
		put("Retry-After", seconds(a.retry))
	}
	if a.reason != "" {
		put("X-Gate-Reason", a.reason)
	}
	if a.limit.Remaining >= 0 {
		put("Ratelimit-Limit", strconv.FormatInt(a.limit.Max, 10))
		put("Ratelimit-Remaining", strconv.FormatInt(a.limit.Remaining, 10))
		if a.limit.Reset >= 0 {
			put("Ratelimit-Reset", seconds(a.limit.Reset))
		}
	}
	if nginx {
		put("X-Gate-Status", strconv.Itoa(a.Status))
	}
	put("Content-Length", strconv.Itoa(len(a.Text)+1))
}

// write sends the answer; for nginx in the statuses that it reads.
func (a *Reply) write(w http.ResponseWriter, nginx bool) {
	header := w.Header()
	a.fields(nginx, func(name, value string) { header[name] = []string{value} })
	status := a.Status
	if nginx {
		status = nginxStatus(a.Status)
	}
	w.WriteHeader(status)
	_, _ = w.Write(append([]byte(a.Text), '\n')) // an error here is the proxy's connection, which net/http closes
}
