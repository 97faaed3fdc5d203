package gate

import (
	"net/http"
	"sync/atomic"
	"time"

	"github.com/reporterd/reporterd/internal/histogram"
)

// The forms of a question.
const (
	formNginx     = "nginx"     // X-Original-*, or another one at /gate/nginx
	formForwarded = "forwarded" // X-Forwarded-*: Caddy, Traefik
	formOriginal  = "original"  // X-Original-*: HAProxy
	formPath      = "path"      // method and path behind /gate/: Envoy's HTTP
	FormGRPC      = "grpc"      // Envoy's gRPC
	formNone      = "none"      // it is none
)

// formNames are all of them.
var formNames = [...]string{formNginx, formForwarded, formOriginal, formPath, FormGRPC, formNone}

// Stats are figures since the start.
type Stats struct {
	Answers  map[string]map[int]uint64 // by the form of the question and the status of the answer
	Times    histogram.Snapshot        // how long answers took, in seconds
	Services map[string]int            // by where they were read: file, portal
	Rules    map[string]int            // the same
}

// counters count answers. All methods may be called concurrently.
type counters struct {
	answers [len(formNames)][600]atomic.Uint64 // by form and status
	times   *histogram.Histogram
}

func newCounters() *counters {
	return &counters{times: histogram.New(.00001, .00003, .0001, .0003, .001, .003, .01, .03, .1, .3, 1)}
}

// add counts an answer that was begun at a time.
func (c *counters) add(form string, status int, begun time.Time) {
	c.times.Observe(time.Since(begun).Seconds())
	for i, name := range formNames {
		if name == form && status < len(c.answers[i]) {
			c.answers[i][status].Add(1)
		}
	}
}

// Stats returns figures.
func (h *Handler) Stats() Stats {
	s := Stats{Answers: map[string]map[int]uint64{}, Times: h.counters.times.Snapshot(), Services: map[string]int{"file": 0, "portal": 0}, Rules: map[string]int{"file": 0, "portal": 0}}
	for i, name := range formNames {
		s.Answers[name] = map[int]uint64{http.StatusOK: h.counters.answers[i][http.StatusOK].Load()}
		for status := range h.counters.answers[i] {
			if n := h.counters.answers[i][status].Load(); n > 0 {
				s.Answers[name][status] = n
			}
		}
	}
	h.mu.Lock()
	file := len(h.file.all)
	h.mu.Unlock()
	for i, one := range h.services.Load().all {
		origin := "portal"
		if i < file { // With puts them first
			origin = "file"
		}
		s.Services[origin]++
		s.Rules[origin] += len(one.Rules)
	}
	return s
}
