package console

import "strconv"

// traffic are the metric families of producers' requests.
var traffic = []family{
	{kind: gauge, name: "reporterd_connections", help: "Connections of the traffic listener.",
		value: func(s *Snapshot) float64 { return float64(s.Connections.Open) }},
	{kind: counter, name: "reporterd_connections_closed_total", label: "reason",
		help: "Connections of the traffic listener closed for limits.max_connections (crowded: the one that did least) and limits.max_connections_per_address (address).",
		each: func(s *Snapshot, put func(string, float64)) {
			put("crowded", float64(s.Connections.Crowded))
			put("address", float64(s.Connections.Refused))
		}},
	{kind: counter, name: "reporterd_ingest_requests_total", labels: []string{"transport", "status"},
		help: "Requests of producers by transport and status of the answer: with 202 all events were accepted, otherwise none.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			for _, t := range s.Traffic {
				for status, n := range t.Requests {
					put(float64(n), t.Transport, strconv.Itoa(status))
				}
			}
		}},
	{kind: counter, name: "reporterd_ingest_events_total", label: "transport", help: "Events acknowledged by transport, duplicates included.",
		each: func(s *Snapshot, put func(string, float64)) {
			for _, t := range s.Traffic {
				put(t.Transport, float64(t.Events))
			}
		}},
	{kind: counter, name: "reporterd_ingest_bytes_total", label: "transport", help: "Bytes of acknowledged bodies by transport, expanded.",
		each: func(s *Snapshot, put func(string, float64)) {
			for _, t := range s.Traffic {
				put(t.Transport, float64(t.Bytes))
			}
		}},
	{kind: gauge, name: "reporterd_ingest_held_bytes", help: "Estimated memory of requests that are being read, in bytes: heads and bodies, those of reports weighted.",
		value: func(s *Snapshot) float64 { return float64(s.Held.Bytes) }},
	{kind: gauge, name: "reporterd_ingest_held_limit_bytes", help: "Bytes they may take; beyond it requests are answered 503.",
		value: func(s *Snapshot) float64 { return float64(s.Held.Limit) }},
}
