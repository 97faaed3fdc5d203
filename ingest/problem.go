package ingest

import (
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/reporterd/reporterd/access"
)

// maxFaults bounds the faults that one answer lists. Its total counts all of them.
const maxFaults = 100

// maxFieldName bounds a field name of the producer where an answer repeats it, in bytes.
const maxFieldName = 100

// Fault is what is wrong with one event of a request.
type Fault struct {
	Index  int    `json:"index"` // which event of the request, from 0
	Field  string `json:"field,omitempty"`
	Detail string `json:"detail"`
}

// String is the fault without its index.
func (f Fault) String() string {
	if f.Field == "" {
		return f.Detail
	}
	return f.Field + " " + f.Detail
}

// faults are what is wrong with the events of a request: the first maxFaults, and how many in all.
type faults struct {
	list   []Fault
	total  int
	events int // how many events have one or more
}

func (f *faults) add(index int, field, detail string) {
	f.total++
	if len(f.list) == maxFaults {
		return
	}
	if len(field) > maxFieldName {
		field = field[:maxFieldName] + "…"
	}
	f.list = append(f.list, Fault{index, field, detail})
}

// problem is an answer of application/problem+json, RFC 9457.
type problem struct {
	Type   string  `json:"type"` // always about:blank: the status says which problem it is
	Title  string  `json:"title"`
	Status int     `json:"status"`
	Detail string  `json:"detail"`
	Errors []Fault `json:"errors,omitempty"`
	Total  int     `json:"total,omitempty"` // of errors, also those not listed

	// Which events of the request were kept all the same, and which may have been; see event.Partial.
	Kept    []int `json:"kept,omitempty"`
	Unknown []int `json:"unknown,omitempty"`
}

func writeProblem(w http.ResponseWriter, p problem) {
	p.Type, p.Title = "about:blank", http.StatusText(p.Status)
	body, err := json.Marshal(p)
	if err != nil {
		panic(fmt.Sprintf("ingest: marshal problem: %v", err)) // strings and numbers only
	}
	header := w.Header()
	header["Content-Type"] = []string{"application/problem+json"}
	header["X-Content-Type-Options"] = []string{"nosniff"}
	header["Content-Length"] = []string{strconv.Itoa(len(body) + 1)}
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n'))
}

// setRequestID puts the request's id into a refusal and, at level debug, into the log, so that one can be found by the other.
func (h *Handler) setRequestID(w http.ResponseWriter, r *http.Request, status int) {
	id := access.RequestID(r)
	w.Header()[access.RequestHeader] = []string{id}
	h.log.Debug("request refused", zap.String("request_id", id), zap.Int("status", status), zap.String("from", r.RemoteAddr))
}

// retryAfter writes a Retry-After of whole seconds, at least one.
func retryAfter(w http.ResponseWriter, d time.Duration) {
	seconds := max(1, int64(math.Ceil(d.Seconds())))
	w.Header()["Retry-After"] = []string{strconv.FormatInt(seconds, 10)}
}
