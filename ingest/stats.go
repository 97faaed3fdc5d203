package ingest

import (
	"net/http"
	"sync/atomic"
)

// statuses are the statuses of all answers to events and reports.
var statuses = [...]int{
	http.StatusAccepted, http.StatusBadRequest, http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
	http.StatusRequestTimeout, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType,
	http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusServiceUnavailable,
}

// Stats are figures since NewHandler. They are read one after the other: a request that ends meanwhile may be in one and not
// yet in another.
type Stats struct {
	Events  Traffic // POST /v1/events
	Reports Traffic // POST /transactions.xml

	Held, MostHeld int64 // bytes that requests take in memory, estimated, and the limit

	Messages Traffic // those of a Bundle; each message counts as a request, also a plain publish
}

// Traffic are the figures of one way in.
type Traffic struct {
	Requests map[int]uint64 // by status of the answer; all possible statuses are present
	Events   uint64         // of requests answered with 202, duplicates included
	Bytes    uint64         // of their bodies, expanded
}

type counters struct{ events, reports, messages trafficCounters }

type trafficCounters struct {
	requests [len(statuses)]atomic.Uint64
	taken    atomic.Uint64
	bytes    atomic.Uint64
}

// answered counts a request answered with status.
func (t *trafficCounters) answered(status int) { t.all(status, 1) }

// all counts n requests answered with status.
func (t *trafficCounters) all(status, n int) {
	for i := range statuses {
		if statuses[i] == status {
			t.requests[i].Add(uint64(n))
			return
		}
	}
}

// took counts a request answered with 202.
func (t *trafficCounters) took(events, bytes int) {
	t.answered(http.StatusAccepted)
	t.taken.Add(uint64(events))
	t.bytes.Add(uint64(bytes))
}

func (t *trafficCounters) snapshot() Traffic {
	s := Traffic{Requests: make(map[int]uint64, len(statuses)), Events: t.taken.Load(), Bytes: t.bytes.Load()}
	for i := range statuses {
		s.Requests[statuses[i]] = t.requests[i].Load()
	}
	return s
}

// Stats returns the figures so far. It may be called at any time.
func (h *Handler) Stats() Stats {
	c := &h.counters
	return Stats{Held: h.memory.Used(), MostHeld: h.memory.Total(), Events: c.events.snapshot(), Reports: c.reports.snapshot(), Messages: c.messages.snapshot()}
}
