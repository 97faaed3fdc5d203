package console

// deliveries are the families about how reports get through, and what keeps them from it.
var deliveries = []family{
	{kind: gauge, name: "reporterd_report_in_flight_limit", help: "Report calls that may be in flight: adapts to the backend.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Limit) }},
	{kind: gauge, name: "reporterd_backend_breaker_open", help: "1 while the backend is away and tried with one call at a time.",
		value: func(s *Snapshot) float64 { return flag(s.Reports.BreakerOpen) }},
	{kind: counter, name: "reporterd_report_alone_total", help: "Reports about one application that nothing vouched for.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Alone) }},
	{kind: counter, name: "reporterd_restamped_transactions_total", help: "Transactions delivered with the time of the attempt, too old for their own.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.Restamped) }},
	{kind: counter, name: "reporterd_restamped_events_total", help: "Events in them.",
		value: func(s *Snapshot) float64 { return float64(s.Reports.RestampedEvents) }},
	{kind: gauge, name: "reporterd_probation_batches", help: "Batches that wait for proof of their applications and metrics.",
		value: overLanes(func(l *Lane) float64 { return float64(l.Questioned) })},
	{kind: gauge, name: "reporterd_parked_batches", help: "Batches with an unknown outcome, kept until somebody decides.",
		value: overLanes(func(l *Lane) float64 { return float64(l.Parked) })},
	{kind: gauge, name: "reporterd_parked_events", help: "Events in them.",
		value: overLanes(func(l *Lane) float64 { return float64(l.ParkedEvents) })},
	{kind: counter, name: "reporterd_probation_questions_total", help: "Questions to the backend about applications and metrics.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Asked) }},
	{kind: counter, name: "reporterd_probation_failed_total", help: "Of them, those without an answer.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Failed) }},
	{kind: gauge, name: "reporterd_probation_waiting", help: "Questions that wait for their turn or their answer.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Waiting) }},
	{kind: gauge, name: "reporterd_probation_known", help: "Applications and metrics remembered.",
		value: func(s *Snapshot) float64 { return float64(s.Proof.Known) }},
	{kind: gauge, name: "reporterd_config_last_reload_successful", help: "0 when the latest reload was refused.",
		value: func(s *Snapshot) float64 { return flag(!s.Reload.Failed) }},
	{kind: gauge, name: "reporterd_config_last_reload_success_timestamp_seconds", help: "When services were last reloaded, Unix seconds; 0: not since the start.",
		value: func(s *Snapshot) float64 {
			if s.Reload.Last.IsZero() {
				return 0
			}
			return float64(s.Reload.Last.Unix())
		}},
}

func flag(set bool) float64 {
	if set {
		return 1
	}
	return 0
}

func overLanes(figure func(*Lane) float64) func(*Snapshot) float64 {
	return func(s *Snapshot) (sum float64) {
		for i := range s.Lanes {
			sum += figure(&s.Lanes[i])
		}
		return sum
	}
}
