package console

import (
	"maps"
	"slices"

	"github.com/reporterd/reporterd/internal/histogram"
)

// deliveries are the metric families of reports and of what delays them.
var deliveries = []family{
	{kind: counter, name: "reporterd_report_calls_total", help: "Report calls made to the backend.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Calls) }},
	{kind: counter, name: "reporterd_report_transactions_total", help: "Transactions delivered by report calls: accepted by 3scale, or with receipts counted by it.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Transactions) }},
	{kind: gauge, name: "reporterd_report_in_flight", help: "Report calls without an answer yet.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.InFlight) }},
	{kind: counter, name: "reporterd_report_verdicts_total", help: "Attempts by verdict.", label: "verdict",
		each: func(s *Snapshot, put func(string, float64)) { each(s.Reports.Verdicts, put) }},
	{kind: counter, name: "reporterd_report_answers_total", labels: []string{"verdict", "status"},
		help: "Report calls by verdict and HTTP status; none: no answer. Unusual statuses share 2xx to 5xx or other.",
		series: func(s *Snapshot, put func(float64, ...string)) {
			for _, a := range s.Reports.Answers {
				put(float64(a.Calls), a.Verdict, a.Status)
			}
		}},
	{name: "reporterd_report_seconds", help: "How long report calls took, to their answer or error.",
		histogram: func(s *Snapshot) histogram.Snapshot { return s.Reports.Seconds }},
	{kind: counter, name: "reporterd_report_saturated_seconds_total", help: "Time during which the maximum number of calls was in flight; its rate is the saturation, 0 to 1.",
		value: func(s *Snapshot) float64 { return s.Reports.Saturated.Seconds() }},
	{kind: gauge, name: "reporterd_lanes", help: "Lanes by state: flowing, retrying, held, draining or parked.", label: "state",
		each: byState(func(l *Lane) float64 { return float64(l.count()) })},
	{kind: gauge, name: "reporterd_lane_batches", help: "Batches that wait for delivery, by the state of their lane.", label: "state",
		each: byState(func(l *Lane) float64 { return float64(l.Batches) })},
	{kind: gauge, name: "reporterd_lane_events", help: "Events in batches that wait for delivery, by the state of their lane.", label: "state",
		each: byState(func(l *Lane) float64 { return float64(l.Events) })},
	{kind: gauge, name: "reporterd_passthrough_lanes", help: "Lanes with credentials that reporters sent and undelivered batches; backend.passthrough_lanes bounds them.",
		value: func(s *Snapshot) float64 { return float64(s.Strangers.Lanes) }},
	{kind: gauge, name: "reporterd_passthrough_bytes", help: "Bytes of the batches of these lanes; backend.passthrough_share bounds them.",
		value: func(s *Snapshot) float64 { return float64(s.Strangers.Bytes) }},
	{kind: counter, name: "reporterd_passthrough_refused_total", help: "Requests refused because of these bounds.",
		value: func(s *Snapshot) float64 { return float64(s.Strangers.Refused) }},
	{kind: counter, name: "reporterd_dead_letters_total", help: "Transactions that became dead letters since the start, by reason. Beyond 32 reasons they share other.", label: "reason",
		each: func(s *Snapshot, put func(string, float64)) {
			for _, reason := range slices.Sorted(maps.Keys(s.Reports.Dead)) {
				put(reason, float64(s.Reports.Dead[reason].Transactions))
			}
		}},
	{kind: counter, name: "reporterd_dead_letter_events_total", help: "Events that became dead letters since the start, by reason.", label: "reason",
		each: func(s *Snapshot, put func(string, float64)) {
			for _, reason := range slices.Sorted(maps.Keys(s.Reports.Dead)) {
				put(reason, float64(s.Reports.Dead[reason].Events))
			}
		}},
	{kind: gauge, name: "reporterd_report_in_flight_limit", help: "Report calls that may be in flight: adapts to the backend.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Limit) }},
	{kind: gauge, name: "reporterd_backend_breaker_open", help: "1 while the backend is unavailable and is tried with one call at a time.",
		value: func(s *Snapshot) float64 { return flag(s.Reports.BreakerOpen) }},
	{kind: counter, name: "reporterd_report_alone_total", help: "Reports of a single application that 3scale had not confirmed lately.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Alone) }},
	{kind: counter, name: "reporterd_restamped_transactions_total", help: "Transactions delivered with the time of the attempt, too old for their own.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Restamped) }},
	{kind: counter, name: "reporterd_restamped_events_total", help: "Events delivered with the time of the attempt, too old for their own.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.RestampedEvents) }},
	{kind: gauge, name: "reporterd_probation_batches", help: "Batches that wait for proof of their applications and metrics.",
		value: overLanes(func(l *Lane) float64 { return float64(l.Questioned) })},
	{kind: gauge, name: "reporterd_parked_batches", help: "Batches with an unknown outcome, kept until an operator decides.",
		value: overLanes(func(l *Lane) float64 { return float64(l.Parked) })},
	{kind: gauge, name: "reporterd_parked_events", help: "Events in batches with an unknown outcome, kept until an operator decides.",
		value: overLanes(func(l *Lane) float64 { return float64(l.ParkedEvents) })},
	{kind: counter, name: "reporterd_probation_questions_total", help: "Probes of applications and metrics at the backend.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Asked) }},
	{kind: counter, name: "reporterd_probation_failed_total", help: "Probes of applications and metrics at the backend without an answer.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Failed) }},
	{kind: gauge, name: "reporterd_probation_waiting", help: "Probes that are queued or wait for their answer.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Waiting) }},
	{kind: gauge, name: "reporterd_probation_known", help: "Applications and metrics whose confirmation is remembered.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Known) }},
}

func overLanes(figure func(*Lane) float64) func(*Snapshot) float64 {
	return func(s *Snapshot) (sum float64) {
		for i := range s.Lanes {
			sum += figure(&s.Lanes[i])
		}
		return sum
	}
}

// byState sums a figure over lanes by state. Every state has a value, so that an alert on held lanes clears at zero.
func byState(figure func(*Lane) float64) func(*Snapshot, func(string, float64)) {
	return func(s *Snapshot, put func(string, float64)) {
		sums := make(map[string]float64, len(laneStates))
		for i := range s.Lanes {
			sums[s.Lanes[i].State] += figure(&s.Lanes[i])
		}
		for _, state := range laneStates {
			put(state, sums[state])
		}
	}
}
