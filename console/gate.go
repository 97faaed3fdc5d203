package console

import (
	"strconv"

	"github.com/reporterd/reporterd/internal/histogram"
)

// Gate is what proxies asked and were told, since the start.
type Gate struct {
	Answers         map[string]map[int]uint64 // by the form of the question and the status of the answer
	Times           histogram.Snapshot        // how long answers took, in seconds
	Services, Rules map[string]int            // by where they were read: file, portal
	PortalRead      int64                     // when those of the portal were read last, all of them, Unix seconds; 0: never, or not from there
}

// gates are the metric families of proxies' questions; without gate.listen absent, and the histogram empty.
var gates = []family{
	{kind: counter, name: "reporterd_gate_answers_total", labels: []string{"form", "status"},
		help: "Answers to proxies by the form of the question (nginx; forwarded: Caddy, Traefik; original: HAProxy; path and grpc: Envoy; none) and status, that of X-Gate-Status for nginx.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Gate == nil {
				return
			}
			for form, statuses := range s.Gate.Answers {
				for status, n := range statuses {
					put(float64(n), form, strconv.Itoa(status))
				}
			}
		}},
	{name: "reporterd_gate_answer_seconds", help: "How long answers to proxies took, with the disk and 3scale, at most gate.timeout for the latter.",
		histogram: func(s *Snapshot) histogram.Snapshot {
			if s.Gate == nil {
				return histogram.Snapshot{}
			}
			return s.Gate.Times
		}},
	{kind: gauge, name: "reporterd_gate_services", label: "origin", help: "Services that proxies may ask about, by where their rules were read: file, portal.",
		each: func(s *Snapshot, put func(string, float64)) {
			byOrigin(s, func(g *Gate) map[string]int { return g.Services }, put)
		}},
	{kind: gauge, name: "reporterd_gate_rules", label: "origin", help: "Rules of these services.",
		each: func(s *Snapshot, put func(string, float64)) {
			byOrigin(s, func(g *Gate) map[string]int { return g.Rules }, put)
		}},
	{kind: gauge, name: "reporterd_gate_portal_read_timestamp_seconds", help: "When the configurations of all services were read from the portal last, Unix seconds; absent before.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			if s.Gate != nil {
				putTime(s.Gate.PortalRead, put)
			}
		}},
}

func byOrigin(s *Snapshot, of func(*Gate) map[string]int, put func(string, float64)) {
	if s.Gate == nil {
		return
	}
	for origin, n := range of(s.Gate) {
		put(origin, float64(n))
	}
}
