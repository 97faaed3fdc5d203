package ingest

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/reporterd/reporterd/access"
)

// serveEvents answers POST /v1/events.
func (h *Handler) serveEvents(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.Header()["Allow"] = []string{http.MethodPost}
		h.refuseEvents(w, r, problem{Status: http.StatusMethodNotAllowed, Detail: "events are sent with POST"})
		return
	}
	g, refused := h.authenticate(r)
	if refused != nil {
		h.counters.events.answered(refused.Status)
		h.refuseCaller(w, r, *refused)
		return
	}
	job := h.pool.Get().(*buffers)
	defer h.release(job)
	job.grant = g
	job.reader = bodyReader{ReadCloser: r.Body, writer: w, length: r.ContentLength}
	if p, ok := h.decodeEvents(job, r); !ok {
		h.refuseEvents(w, r, p)
		return
	}
	if wait := g.Take(len(job.events)); wait > 0 {
		retryAfter(w, wait)
		h.refuseEvents(w, r, overRate(g))
		return
	}
	duplicates, err := h.append(r.Context(), job.events)
	if err != nil {
		answer := h.health.failed(err)
		retryAfter(w, answer.retryAfter)
		h.refuseEvents(w, r, answer.problem())
		return
	}
	h.counters.events.took(len(job.events), len(job.body))
	job.accept(w, len(job.events)-duplicates, duplicates)
}

// overRate is the answer to events above the rate of their sender.
func overRate(g *access.Grant) problem {
	return problem{Status: http.StatusTooManyRequests, Detail: fmt.Sprintf("%s may send %g events a second", g.Name, g.PerSecond())}
}

// decodeEvents reads the request into job.events. If it cannot, p says why.
func (h *Handler) decodeEvents(job *buffers, r *http.Request) (p problem, ok bool) {
	f, err := format(header(r, "Content-Type"))
	if err != nil {
		return problem{Status: http.StatusUnsupportedMediaType, Detail: err.Error()}, false
	}
	if err := job.read(r, h.maxBody); err != nil {
		return problemOf(err), false
	}
	job.reset(h.services.Load(), time.Now(), h.maxEvents)
	var cloud func(name string) string
	if r.Header["Ce-Specversion"] != nil {
		cloud = r.Header.Get
	}
	if job.body, p = prepare(job.body, f, cloud); p.Status != 0 {
		return p, false
	}
	if f == formatLines {
		err = job.lines()
	} else {
		err = job.decode()
	}
	if err != nil {
		return problemOf(err), false
	}
	return job.verdict()
}

func problemOf(err error) problem {
	var body *bodyError
	var many *tooMany
	switch {
	case errors.As(err, &body):
		return problem{Status: body.status, Detail: body.detail}
	case errors.As(err, &many):
		return problem{Status: http.StatusRequestEntityTooLarge, Detail: many.Error()}
	}
	return problem{Status: http.StatusBadRequest, Detail: err.Error()}
}

// accept answers 202.
func (w *buffers) accept(to http.ResponseWriter, accepted, duplicates int) {
	b := append(w.answer[:0], `{"accepted":`...)
	b = strconv.AppendInt(b, int64(accepted), 10)
	b = append(b, `,"duplicates":`...)
	b = strconv.AppendInt(b, int64(duplicates), 10)
	w.answer = append(b, '}')
	to.Header()["Content-Type"] = jsonType
	to.WriteHeader(http.StatusAccepted)
	_, _ = to.Write(w.answer)
}

// refuseEvents answers that nothing was taken, or which part. A 503 without a Retry-After is one of the memory budget, and gets its time.
func (h *Handler) refuseEvents(w http.ResponseWriter, r *http.Request, p problem) {
	h.setRequestID(w, r, p.Status)
	h.counters.events.answered(p.Status)
	if p.Status == http.StatusServiceUnavailable && w.Header()["Retry-After"] == nil {
		retryAfter(w, busyRetry)
	}
	writeProblem(w, p)
}

// release returns the memory of job, and keeps its buffers for another request if they are small enough.
func (h *Handler) release(job *buffers) {
	job.account.Release()
	job.grant, job.reader = nil, bodyReader{}
	if job.smallEnough() {
		h.pool.Put(job)
	}
}
